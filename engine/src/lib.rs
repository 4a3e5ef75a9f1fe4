//! The system under gate: an engine that turns story plans into measured prose through a provider that fails and costs
//! money, and the drills that exercise it and write down what happened. It knows nothing of the gates that judge it.
//!
//! Around every provider call lie the layers of [`pipeline`], outermost first:
//! `cached → retry → validate → meter → limit → chaos → provider`. Everything that touches a shared folder is in [`store`];
//! time is read in [`clock`] alone; randomness comes from [`contract::seed`] alone.
//!
//! A generated story, told by the mock on simulated time, in this process:
//!
//! ```
//! use contract::calibration::Calibration;
//! use contract::seed::Seed;
//! use engine::scribe::simulate::Bench;
//!
//! let policy = include_bytes!("../../gates/policy/calibration.json");
//! let bench = Bench::new(Calibration::parse(policy)?)?;
//! let time = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! let digest = |seed| time.block_on(bench.run(0, Seed(seed))).map(|run| run.output.output_digest());
//! assert_eq!(digest(7)?, digest(7)?, "one seed, one story");
//! assert_ne!(digest(7)?, digest(8)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod drill;
pub mod pipeline;
pub mod provider;
pub mod sabotage;
pub mod scribe;
pub mod store;
pub mod wire;
