//! Bodies in the pieces, and headers in the shapes, that a careless reader trips over.

use std::collections::VecDeque;

use bytes::Bytes;

/// Sizes that share no factor with anybody's buffer. The first is small: a reader that waits
/// for a full buffer is seen.
const SIZES: [usize; 6] = [1, 7, 61, 1021, 4093, 8191];

/// On every good answer of a plane: a header twice, once without a value, once beyond ASCII.
pub(crate) const HEADERS: [(&str, &str); 2] = [("x-unexpected", ""), ("x-unexpected", "Zürich; \"a\", b=c")];

/// `body` in pieces of odd sizes.
pub(crate) fn odd_sizes(mut body: Bytes) -> VecDeque<Bytes> {
    let mut pieces = VecDeque::new();
    for size in SIZES.into_iter().cycle() {
        if body.len() <= size {
            break;
        }
        pieces.push_back(body.split_to(size));
    }
    if !body.is_empty() {
        pieces.push_back(body);
    }
    pieces
}

/// One piece for each frame, but cut inside the frames, never between them: in `data:`, in a
/// multi-byte character, between the two line feeds. So every piece has the end of one frame
/// and the start of the next.
pub(crate) fn between_frames(frames: &[Bytes]) -> VecDeque<Bytes> {
    let mut all = Bytes::from(frames.concat());
    let mut pieces = VecDeque::new();
    let mut start = 0;
    let mut taken = 0;
    for (number, frame) in frames.iter().enumerate() {
        if frame.len() > 1 {
            // The first cut leaves a single byte for the first piece.
            let cut = start + 1 + (number * 37) % (frame.len() - 1);
            pieces.push_back(all.split_to(cut - taken));
            taken = cut;
        }
        start += frame.len();
    }
    pieces.push_back(all);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let body = Bytes::from(vec![7; 40_000]);
        let pieces = odd_sizes(body.clone());
        assert!(pieces.len() > 10);
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), body.len());
        assert!(odd_sizes(Bytes::new()).is_empty());
    }

    #[test]
    fn no_piece_ends_where_a_frame_ends() {
        let frames: Vec<Bytes> = ["data: {\"a\":1}\n\n", "data: {}\n\n", "data: [DONE]\n\n"].map(Bytes::from).to_vec();
        let ends: Vec<usize> = frames
            .iter()
            .scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            })
            .collect();
        let pieces = between_frames(&frames);
        assert_eq!(Vec::from(pieces.clone()).concat(), frames.concat());
        let mut end = 0;
        for piece in pieces.iter().take(pieces.len() - 1) {
            end += piece.len();
            assert!(!ends.contains(&end), "cut between two frames at {end}");
        }
    }
}
