use std::io::Write;

use super::*;

const PAUSE: Duration = Duration::from_millis(10);

async fn texts(lists: &mut Lists, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(lists.next().await.unwrap().unwrap().text);
    }
    texts
}

#[tokio::test]
async fn blank_lines_and_comments_are_passed_over_and_lines_are_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list");
    let long = "x".repeat(3 * MAX_LINE);
    fs::write(&path, format!("# all\n\n one \r\ntwo # why\n{long}\nlast")).unwrap();
    let mut lists = Lists::open(Some(&path), None, PAUSE).unwrap();
    let mut lines = Vec::new();
    while let Some(line) = lists.next().await.unwrap() {
        lines.push(line);
    }
    assert!(!lists.is_open());
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((texts.len(), &texts[..2], texts[3]), (4, &["one", "two"][..], "last"));
    assert!(texts[2].len() > MAX_LINE && texts[2].len() < long.len());
    assert_eq!(lines[1].place, format!("{}, line 4", path.display()));
    assert!(lines.iter().all(|line| !line.followed));
}

#[tokio::test]
async fn a_followed_list_is_read_as_it_grows_and_from_its_start_when_it_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list");
    fs::write(&path, "one\nt").unwrap();
    let mut lists = Lists::open(None, Some(&path), PAUSE).unwrap();
    assert_eq!(texts(&mut lists, 1).await, ["one"]);
    assert_eq!(lists.waiting().unwrap(), None, "a line that is only begun is none");
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(b"wo\nthree\n").unwrap();
    assert_eq!(texts(&mut lists, 2).await, ["two", "three"]);
    let new = dir.path().join("new");
    fs::write(&new, "four\n").unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(texts(&mut lists, 1).await, ["four"]);
    fs::write(&path, "5\n").unwrap();
    assert_eq!(texts(&mut lists, 1).await, ["5"]);
    assert!(lists.is_open());
}

#[test]
fn lists_that_are_none_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    let error = Lists::open(Some(&gone), None, PAUSE).err().unwrap();
    assert!(format!("{error:#}").contains("reading the list"), "{error:#}");
    let stdin = Path::new("-");
    assert!(Lists::open(Some(stdin), Some(stdin), PAUSE).is_err());
}
