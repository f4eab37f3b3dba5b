//! Columns on a terminal.

use unicode_width::UnicodeWidthStr as _;

use super::api::Prediction;

/// A heading and rows in columns that are as wide as they have to be, each line ended.
pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(|&word| word.to_owned()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(&heading).chain(rows).map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            padded += cell;
            padded += &" ".repeat(width - cell.width() + 2);
        }
        text += padded.trim_end();
        text.push('\n');
    }
    text
}

/// A label with its probability.
pub(super) fn label(top: &Prediction) -> String {
    format!("{} {:.0} %", top.label, top.probability * 100.0)
}

/// Text that is nothing but text to a terminal: names come from anywhere, and could move its cursor or turn its direction.
pub(super) fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let rows = [vec!["写真.jpg".to_owned(), "1".to_owned()], vec!["e\u{301}.jpg".to_owned(), String::new()]];
        assert_eq!(table(&["file", "n"], &rows), "file      n\n写真.jpg  1\ne\u{301}.jpg\n");
    }

    #[test]
    fn a_name_does_nothing_to_the_terminal() {
        let rows = [vec!["\u{1b}[2J\r\n\u{202e}gpj.exe".to_owned()]];
        assert_eq!(table(&["file"], &rows), "file\n\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}gpj.exe\n");
    }
}
