//! What would change in a text, line by line, in the form of `diff -u`.

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;
/// Comparing takes the product of both lengths; above this a text is shown as replaced as a whole.
const LARGEST: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Before,
    After,
}

/// The lines of the difference, each with its sign; none when there is none.
pub(super) fn diff(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let lines = compare(&before, &after);
    let near = |at: usize| {
        let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len());
        lines[around].iter().any(|(side, _)| *side != Side::Both)
    };
    let mut shown = Vec::new();
    let (mut old, mut new, mut skipped) = (1, 1, true);
    for (at, (side, line)) in lines.iter().enumerate() {
        if near(at) {
            if skipped {
                shown.push(format!("@@ -{old} +{new} @@"));
            }
            let sign = match side {
                Side::Both => ' ',
                Side::Before => '-',
                Side::After => '+',
            };
            shown.push(format!("{sign}{line}"));
        }
        skipped = !near(at);
        old += usize::from(*side != Side::After);
        new += usize::from(*side != Side::Before);
    }
    shown
}

/// The lines of both texts with the fewest changes between them.
fn compare<'t>(before: &[&'t str], after: &[&'t str]) -> Vec<(Side, &'t str)> {
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut lines: Vec<_> = before[..head].iter().map(|line| (Side::Both, *line)).collect();
    if old.len().saturating_mul(new.len()) > LARGEST {
        lines.extend(old.iter().map(|line| (Side::Before, *line)));
        lines.extend(new.iter().map(|line| (Side::After, *line)));
    } else {
        lines.extend(longest(old, new));
    }
    lines.extend(before[before.len() - tail..].iter().map(|line| (Side::Both, *line)));
    lines
}

/// By the longest common subsequence.
fn longest<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Side, &'t str)> {
    // How many lines the rests from here on have in common.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((Side::Both, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push((Side::Before, old[i]));
            i += 1;
        } else {
            lines.push((Side::After, new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn changes_are_shown_with_what_stands_around_them() {
        let before = (1..=20).map(|n| n.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let after = before.replace("5\n", "5\nfive\n").replace("\n18\n", "\n");
        expect![[r"
            @@ -3 +3 @@
             3
             4
             5
            +five
             6
             7
             8
            @@ -13 +14 @@
             13
             14
             15
            +five
             16
             17
            -18
             19
             20"]]
        .assert_eq(&diff(&before, &after).join("\n"));
        assert!(diff("a\nb", "a\nb\n").is_empty());
        assert_eq!(diff("", "a"), ["@@ -1 +1 @@", "+a"]);
        assert_eq!(diff("a", ""), ["@@ -1 +1 @@", "-a"]);
    }
}
