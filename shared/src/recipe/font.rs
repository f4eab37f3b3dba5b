//! The font that watermarks are written in. It is here, and not with the worker who draws it, since a text that it lacks a
//! letter for is refused wherever recipes are read.

use ttf_parser::Face;

/// Noto Sans Bold, a TrueType file.
pub const FONT: &[u8] = include_bytes!("../../../assets/fonts/NotoSans-Bold.ttf");

/// The first character that would come out as an empty box.
pub(super) fn missing_glyph(text: &str) -> Option<char> {
    let font = Face::parse(FONT, 0).expect("the font is among the sources");
    text.chars().find(|&c| font.glyph_index(c).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_greek_and_cyrillic_are_there_and_others_are_not() {
        assert_eq!(missing_glyph("© Ünï Ωμέγα Фото 2026 ½ €"), None);
        assert_eq!(missing_glyph("photo 写真"), Some('写'));
        assert_eq!(missing_glyph("🐈"), Some('🐈'));
    }
}
