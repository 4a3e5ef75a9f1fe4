//! How long measuring one scene takes: about 170 words of prose in each language.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::scribe::measure::{Limits, Yardstick, paragraphs};
use engine::scribe::style::{Language, PovChoice, TenseChoice};

fn limits(language: Language) -> Limits {
    Limits {
        language,
        pov: PovChoice::ThirdLimited,
        tense: TenseChoice::Past,
        banned_words: vec!["very".to_owned(), "suddenly".to_owned(), "soudain".to_owned()],
        forbidden_cliches: vec!["at the end of the day".to_owned(), "au bout du compte".to_owned()],
        max_dialogue_ratio: 0.5,
        min_sensory_anchors: 2,
        word_count_tolerance: 0.5,
    }
}

/// Passages of one language from the labelled set, up to 150 words or a little more.
fn prose(language: &str) -> Vec<String> {
    let passages = include_str!("../data/passages/labelled.jsonl").lines();
    let passages = passages.map(|line| serde_json::from_str(line).expect("each line is one passage"));
    let mut prose = Vec::new();
    let mut words = 0;
    for passage in passages.filter(|passage: &serde_json::Value| passage["language"] == language) {
        let text = passage["text"].as_str().expect("each passage has its text");
        words += text.split_whitespace().count();
        prose.extend(paragraphs(text));
        if words >= 150 {
            break;
        }
    }
    prose
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("measure_scene");
    for (name, language) in [("en", Language::En), ("fr", Language::Fr)] {
        let yardstick = Yardstick::new(limits(language)).expect("the limits of the bench are sound");
        let prose = prose(name);
        group.throughput(Throughput::Elements(yardstick.measure("scene", &prose, 150).word_count));
        group.bench_function(name, |bencher| bencher.iter(|| yardstick.measure("scene", &prose, 150)));
    }
    group.finish();
}

criterion_group!(benches, measure);
criterion_main!(benches);
