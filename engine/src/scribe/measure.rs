//! Measures the prose of a scene against the constraints of its story.

pub mod rules;
