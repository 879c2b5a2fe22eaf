//! ARCHITECTURE.md is the map: every crate is on it.

use super::{Finding, Source};

const MAP: &str = "ARCHITECTURE.md";

/// Each member of the workspace is named on the map.
pub(super) fn are_on_the_map(sources: &[Source]) -> Vec<Finding> {
    let text = |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.as_str());
    let map = text(MAP).unwrap_or_default();
    let members = members(text("Cargo.toml").unwrap_or_default());
    let missing = members.into_iter().filter(|member| !map.contains(&format!("`{member}/`")));
    missing
        .map(|member| Finding { path: MAP.into(), line: None, rule: format!("the room `{member}` is not on the map") })
        .collect()
}

/// The members that the workspace's manifest lists.
fn members(manifest: &str) -> Vec<String> {
    let list = manifest.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::rust, *};

    #[test]
    fn a_room_that_is_not_on_the_map_is_named() {
        let manifest =
            rust("Cargo.toml", "[workspace]\nmembers = [\n    \"core\",\n    \"core/event\",\n    \"bench\",\n]\n");
        let map = rust(MAP, "| `core/` | the daemon |\n| `core/event/` | events, and more than `bench` |\n");
        let findings = are_on_the_map(&[manifest, map]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].rule.contains("`bench`"), "{findings:?}");
    }
}
