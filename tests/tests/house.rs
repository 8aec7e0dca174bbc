//! The rules of the house that no compiler checks: who may know whom, where each foreign crate is
//! at home, how long a file may be, and what nothing is called. The last test breaks each rule in
//! a copy of the project, so that none of them passes by looking at nothing.

mod house {
    mod broken;
    mod dependencies;
    mod homes;
    mod layers;
    mod names;
    mod paths;
    mod project;
    mod pure;
    mod texts;

    use project::Project;

    #[test]
    fn the_house_is_in_order() {
        let project = Project::read(&tests::program::project());
        let broken = breaches(&project);
        assert!(broken.is_empty(), "house rules are broken:\n{}", broken.join("\n"));
    }

    /// Every rule that is broken, and where.
    fn breaches(project: &Project) -> Vec<String> {
        let rules = [
            dependencies::breaches,
            homes::breaches,
            layers::breaches,
            names::breaches,
            texts::breaches,
        ];
        rules.iter().flat_map(|rule| rule(project)).collect()
    }
}
