//! Several files in one string of bytes, so that a directory can be fuzzed as a file is. Any bytes are some bundle.

/// The files that `bytes` stand for, each with one of `names`: a byte for the name, three for the length (little-endian),
/// the content; what is cut off is a shorter file. Of two files of one name the first counts.
pub(crate) fn files<'a>(mut bytes: &'a [u8], names: &[&'static str]) -> Vec<(&'static str, &'a [u8])> {
    let mut files: Vec<(&'static str, &[u8])> = Vec::new();
    while let Some((&[name, low, middle, high], rest)) = bytes.split_first_chunk() {
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        let (content, behind) = rest.split_at(len.min(rest.len()));
        let name = names[usize::from(name) % names.len()];
        if files.iter().all(|(taken, _)| *taken != name) {
            files.push((name, content));
        }
        bytes = behind;
    }
    files
}
