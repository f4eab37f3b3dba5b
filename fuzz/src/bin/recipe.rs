//! Recipes as JSON: what is accepted says the same after it was stored and read again.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use shared::recipe::{MAX_DERIVATIVES, Recipe};

fuzz_target!(|bytes: &[u8]| {
    let Ok(recipe) = serde_json::from_slice::<Recipe>(bytes) else { return };
    let names: HashSet<&str> = recipe.derivatives().iter().map(|spec| spec.name.as_str()).collect();
    assert!((1..=MAX_DERIVATIVES).contains(&names.len()));
    assert_eq!(names.len(), recipe.derivatives().len());

    let stored = serde_json::to_string(&recipe).expect("a recipe is JSON");
    let again: Recipe = serde_json::from_str(&stored).expect("a stored recipe is a recipe");
    assert_eq!(again, recipe, "{stored}");
});
