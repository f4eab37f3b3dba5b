//! Which part of a frame differs from the one before it: only that has to be written.

use super::super::raster::Raster;

/// Part of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Region {
    /// All of it.
    pub(super) fn whole(raster: &Raster) -> Self {
        Self { left: 0, top: 0, width: raster.width(), height: raster.height() }
    }

    /// The smallest one with all pixels that are not the `same` in two RGBA pictures of one size; a single pixel if all are.
    pub(super) fn of(one: &Raster, other: &Raster, same: impl Fn([u8; 4], [u8; 4]) -> bool) -> Self {
        let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
        let rows = one.bytes().chunks_exact(one.stride()).zip(other.bytes().chunks_exact(other.stride()));
        for (y, (one, other)) in (0..).zip(rows) {
            // Whole rows are compared much faster than their pixels.
            if one == other {
                continue;
            }
            let differs = |(&a, &b): (&[u8; 4], &[u8; 4])| !same(a, b);
            let mut pixels = one.as_chunks().0.iter().zip(other.as_chunks().0);
            if let Some(first) = pixels.clone().position(differs) {
                let last = pixels.rposition(differs).unwrap_or(first);
                (left, right) = (left.min(first as u32), right.max(last as u32));
                (top, bottom) = (top.min(y), y);
            }
        }
        if top > bottom {
            return Self { left: 0, top: 0, width: 1, height: 1 };
        }
        Self { left, top, width: right - left + 1, height: bottom - top + 1 }
    }

    /// Its rows in a picture, as RGBA.
    pub(super) fn rows(self, raster: &Raster) -> impl Iterator<Item = &[[u8; 4]]> {
        let rows = raster.bytes().chunks_exact(raster.stride()).skip(self.top as usize).take(self.height as usize);
        rows.map(move |row| &row.as_chunks().0[self.left as usize..][..self.width as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_holds_what_differs_and_nothing_beyond() {
        let blank = Raster::new(7, 5, true, vec![0; 7 * 5 * 4]);
        let check = |dots: &[(usize, usize)], expected: (u32, u32, u32, u32)| {
            let mut other = blank.clone();
            for (x, y) in dots {
                other.bytes_mut()[(y * 7 + x) * 4] = 1;
            }
            let Region { left, top, width, height } = Region::of(&blank, &other, |a, b| a == b);
            assert_eq!((left, top, width, height), expected, "{dots:?}");
            let region = Region { left, top, width, height };
            let inside: u32 = region.rows(&other).flatten().map(|pixel| u32::from(pixel[0])).sum();
            assert_eq!((inside as usize, region.rows(&other).count()), (dots.len(), height as usize));
        };
        check(&[], (0, 0, 1, 1));
        check(&[(0, 0)], (0, 0, 1, 1));
        check(&[(6, 4)], (6, 4, 1, 1));
        check(&[(5, 1), (2, 3)], (2, 1, 4, 3));
        check(&[(0, 0), (6, 0), (3, 4)], (0, 0, 7, 5));
        let anything = Region::of(&blank, &Raster::new(7, 5, true, vec![9; 7 * 5 * 4]), |_, _| true);
        assert_eq!(anything, Region { left: 0, top: 0, width: 1, height: 1 });
    }
}
