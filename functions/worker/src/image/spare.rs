//! Memory of pictures that are done with, for the next ones: to get pages from the kernel costs more than to fill them.
//!
//! A vector comes empty from here, so nothing of the picture before is ever seen. Each thread has its own. What a derivative
//! holds is a part of what it was foretold, and is given back before the next one of the same photo: a picture is finished
//! with when it has been resized into another one, and when it has been encoded.

use std::cell::RefCell;

/// Bytes that are held at most: a picture of twelve megapixels, and a derivative.
pub(super) const MOST: usize = 48 << 20;

/// Bytes below which memory comes and goes with the allocator, which keeps so much at hand itself.
const LEAST: usize = 1 << 20;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty vector with room for so many bytes. If nothing that is held suits, all of it is given back first.
pub(super) fn room(bytes: usize) -> Vec<u8> {
    if bytes < LEAST {
        return Vec::with_capacity(bytes);
    }
    let suits = |spare: &Vec<u8>| (bytes..=bytes * 2).contains(&spare.capacity());
    let found = SPARE.with_borrow_mut(|spare| {
        let found = spare.iter().position(suits).map(|at| spare.swap_remove(at));
        if found.is_none() {
            spare.clear();
        }
        found
    });
    found.unwrap_or_else(|| Vec::with_capacity(bytes))
}

/// As many zeros.
pub(super) fn zeros(bytes: usize) -> Vec<u8> {
    let mut zeros = room(bytes);
    zeros.resize(bytes, 0);
    zeros
}

/// Holds what a vector has of memory for another time, or gives it back.
pub(super) fn keep(mut done: Vec<u8>) {
    if (LEAST..=MOST).contains(&done.capacity()) && held() + done.capacity() <= MOST {
        done.clear();
        // OK to ignore: where a thread ends, so does what it holds.
        let _ = SPARE.try_with(|spare| spare.borrow_mut().push(done));
    }
}

/// Gives back all that is held.
pub(super) fn clear() {
    SPARE.with_borrow_mut(Vec::clear);
}

/// Bytes that are held.
pub(crate) fn held() -> usize {
    SPARE.try_with(|spare| spare.borrow().iter().map(Vec::capacity).sum()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_suits_is_used_again_and_empty() {
        keep(vec![7; 3 * MIB]);
        assert_eq!(held(), 3 * MIB);
        let again = room(2 * MIB);
        assert_eq!((again.len(), again.capacity(), held()), (0, 3 * MIB, 0));
        keep(again);
        assert!(zeros(3 * MIB).iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_does_not_suit_gives_way() {
        for needed in [MIB, 4 * MIB] {
            keep(vec![7; 3 * MIB]);
            drop(room(needed));
            assert_eq!(held(), 0, "{needed}");
        }
        keep(vec![7; 3 * MIB]);
        drop(room(MIB / 2));
        assert_eq!(held(), 3 * MIB);
    }

    #[test]
    fn it_is_bounded() {
        for _ in 0..5 {
            keep(Vec::with_capacity(20 * MIB));
        }
        keep(Vec::with_capacity(100 * MIB));
        keep(Vec::with_capacity(MIB / 2));
        assert_eq!(held(), 40 * MIB);
    }
}
