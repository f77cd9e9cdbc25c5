//! The program in the root README equals the example, which is compiled.

#[test]
fn the_program_of_the_readme_is_compiled() {
    let readme = include_str!("../../README.md");
    let example = include_str!("../../session-tower/examples/visits.rs");
    let (_, program) = example.split_once("\n\n").expect("a description, then the program");
    assert!(
        readme.contains(&format!("```rust\n{program}```")),
        "README.md and session-tower/examples/visits.rs differ"
    );
}
