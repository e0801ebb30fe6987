//! Paths into JSON documents, as rules write them, put together into one tree. In: `$.items[*].receiver` and its mask.
//! Out: a [`Node`]. Invariant: no path leads through or into the place of another.

use super::MaskSpec;

/// More would make SQL that takes longer to plan than to run.
const MOST_STEPS: usize = 6;

/// What is done with the values at one place of documents.
pub(super) enum Node<'a> {
    /// A string is masked.
    Mask(&'a MaskSpec),
    /// Members of an object, by key, in the order of the rule.
    Object(Vec<(&'a str, Node<'a>)>),
    /// Every element of an array.
    Array(Box<Node<'a>>),
}

enum Step<'a> {
    Key(&'a str),
    Elements,
}

/// The tree of all `paths`.
///
/// # Errors
/// When a path is not understood, or meets another.
pub(super) fn tree(paths: &[(String, MaskSpec)]) -> Result<Node<'_>, String> {
    let mut root: Option<Node<'_>> = None;
    for (text, spec) in paths {
        let steps = steps(text)?;
        let node = match root.take() {
            None => branch(&steps, spec),
            Some(node) => graft(node, &steps, spec).ok_or_else(|| format!("path \"{text}\" meets another path"))?,
        };
        root = Some(node);
    }
    root.ok_or_else(|| "paths names no path".to_owned())
}

fn branch<'a>(steps: &[Step<'a>], spec: &'a MaskSpec) -> Node<'a> {
    match steps.split_first() {
        None => Node::Mask(spec),
        Some((Step::Key(key), rest)) => Node::Object(vec![(key, branch(rest, spec))]),
        Some((Step::Elements, rest)) => Node::Array(Box::new(branch(rest, spec))),
    }
}

fn graft<'a>(node: Node<'a>, steps: &[Step<'a>], spec: &'a MaskSpec) -> Option<Node<'a>> {
    match (node, steps.split_first()?) {
        (Node::Object(mut members), (Step::Key(key), rest)) => {
            match members.iter().position(|(known, _)| known == key) {
                None => members.push((key, branch(rest, spec))),
                Some(at) => {
                    let (_, known) = members.remove(at);
                    members.insert(at, (key, graft(known, rest, spec)?));
                }
            }
            Some(Node::Object(members))
        }
        (Node::Array(element), (Step::Elements, rest)) => Some(Node::Array(Box::new(graft(*element, rest, spec)?))),
        (Node::Object(_), (Step::Elements, _)) | (Node::Array(_), (Step::Key(_), _)) | (Node::Mask(_), _) => None,
    }
}

/// `$.items[*].receiver` → its steps.
fn steps(text: &str) -> Result<Vec<Step<'_>>, String> {
    let unknown = || format!("path \"{text}\" is not understood; write \"$.key\", \"$.key.key\" or \"$.key[*].key\"");
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$').ok_or_else(unknown)?;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix("[*]") {
            steps.push(Step::Elements);
            rest = behind;
            continue;
        }
        let named = rest.strip_prefix('.').ok_or_else(unknown)?;
        let end = named.find(['.', '[']).unwrap_or(named.len());
        let (key, behind) = named.split_at(end);
        if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
            return Err(unknown());
        }
        steps.push(Step::Key(key));
        rest = behind;
    }
    if steps.is_empty() || steps.len() > MOST_STEPS {
        return Err(unknown());
    }
    Ok(steps)
}
