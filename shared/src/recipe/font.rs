//! Which characters the watermarks' font has. The font itself is the worker's, who draws it: half a megabyte that no other
//! function needs to carry. Recipes are read by all of them, and a text that it lacks a letter for is refused there.

/// The characters of Noto Sans Bold from the space on, as `first, last`, sorted.
const CHARACTERS: [(u32, u32); 50] = [
    (0x20, 0x7e),
    (0xa0, 0x377),
    (0x37a, 0x37f),
    (0x384, 0x38a),
    (0x38c, 0x38c),
    (0x38e, 0x3a1),
    (0x3a3, 0x3e1),
    (0x3f0, 0x52f),
    (0x1ab0, 0x1ac0),
    (0x1c80, 0x1c88),
    (0x1d00, 0x1df9),
    (0x1dfb, 0x1f15),
    (0x1f18, 0x1f1d),
    (0x1f20, 0x1f45),
    (0x1f48, 0x1f4d),
    (0x1f50, 0x1f57),
    (0x1f59, 0x1f59),
    (0x1f5b, 0x1f5b),
    (0x1f5d, 0x1f5d),
    (0x1f5f, 0x1f7d),
    (0x1f80, 0x1fb4),
    (0x1fb6, 0x1fc4),
    (0x1fc6, 0x1fd3),
    (0x1fd6, 0x1fdb),
    (0x1fdd, 0x1fef),
    (0x1ff2, 0x1ff4),
    (0x1ff6, 0x1ffe),
    (0x2000, 0x2064),
    (0x2066, 0x2071),
    (0x2074, 0x208e),
    (0x2090, 0x209c),
    (0x20a0, 0x20bf),
    (0x20f0, 0x20f0),
    (0x2100, 0x215f),
    (0x2184, 0x2184),
    (0x2189, 0x2189),
    (0x25cc, 0x25cc),
    (0x2c60, 0x2c7f),
    (0x2de0, 0x2e52),
    (0xa640, 0xa69f),
    (0xa700, 0xa7bf),
    (0xa7c2, 0xa7ca),
    (0xa7f5, 0xa7ff),
    (0xa92e, 0xa92e),
    (0xab30, 0xab6b),
    (0xfb00, 0xfb06),
    (0xfe00, 0xfe00),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0xfffc, 0xfffd),
];

/// The first character that would come out as an empty box.
pub(super) fn missing_glyph(text: &str) -> Option<char> {
    let is_missing = |&c: &char| {
        let c = u32::from(c);
        let next = CHARACTERS.partition_point(|&(first, _)| first <= c);
        next.checked_sub(1).is_none_or(|at| CHARACTERS[at].1 < c)
    };
    text.chars().find(is_missing)
}

#[cfg(test)]
mod tests {
    use ttf_parser::Face;

    use super::*;

    #[test]
    fn the_characters_are_those_of_the_font() {
        let font = Face::parse(include_bytes!("../../../assets/fonts/NotoSans-Bold.ttf"), 0).unwrap();
        for c in ' '..=char::MAX {
            // Glyph 0 is the empty box.
            let is_there = font.glyph_index(c).is_some_and(|glyph| glyph.0 != 0);
            assert_eq!(missing_glyph(c.encode_utf8(&mut [0; 4])).is_none(), is_there, "{c:?}");
        }
    }

    #[test]
    fn latin_greek_and_cyrillic_are_there_and_others_are_not() {
        assert_eq!(missing_glyph("© Ünï Ωμέγα Фото 2026 ½ €"), None);
        assert_eq!(missing_glyph("photo 写真"), Some('写'));
        assert_eq!(missing_glyph("🐈"), Some('🐈'));
        assert_eq!(missing_glyph("\0"), Some('\0'));
    }
}
