//! Long rows that grow without moving, and without leaving what they outgrew behind.

/// A row of values like a `Vec`, in pages.
///
/// A `Vec` that grows copies everything to a larger place, and what it leaves is as much again,
/// which an allocator keeps for as long as nobody asks. Here the first page grows like a `Vec`, so
/// that a short row is as small as one; each page after it is allocated once. At most one page of
/// [`PAGE_BYTES`](Self::PAGE_BYTES) lies idle, however long the row is.
///
/// Invariant: every page but the last is full, and none but the first is empty.
#[derive(Debug)]
pub struct Paged<T> {
    first: Vec<T>,
    rest: Vec<Vec<T>>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { first: Vec::new(), rest: Vec::new() }
    }
}

impl<T> Paged<T> {
    /// The size of a page: a few hundred values of a connection each, so that the list of pages
    /// costs nothing, and one idle page is nothing beside them.
    pub const PAGE_BYTES: usize = 16 * 1024;

    /// How many values a page holds: a power of two, so that finding one takes a shift.
    const PAGE_LEN: usize = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let fitting = Self::PAGE_BYTES / size;
        if fitting == 0 { 1 } else { 1 << fitting.ilog2() }
    };

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self.rest.last() {
            Some(last) => self.rest.len() * Self::PAGE_LEN + last.len(),
            None => self.first.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The value at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.page(index / Self::PAGE_LEN)?.get(index % Self::PAGE_LEN)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.page_mut(index / Self::PAGE_LEN)?.get_mut(index % Self::PAGE_LEN)
    }

    /// The values from `index` to the end of its page: a part of the row that lies together.
    pub fn run(&self, index: usize) -> &[T] {
        let page = self.page(index / Self::PAGE_LEN);
        page.and_then(|page| page.get(index % Self::PAGE_LEN..)).unwrap_or_default()
    }

    /// The last value.
    pub fn last(&self) -> Option<&T> {
        self.rest.last().unwrap_or(&self.first).last()
    }

    /// Every value, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.rest.iter().flatten())
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(self.rest.iter_mut().flatten())
    }

    /// Adds `value` at the end.
    pub fn push(&mut self, value: T) {
        let last = self.rest.last_mut().unwrap_or(&mut self.first);
        if last.len() < Self::PAGE_LEN {
            return last.push(value);
        }
        let mut page = Vec::with_capacity(Self::PAGE_LEN);
        page.push(value);
        self.rest.push(page);
    }

    /// Takes the last value out.
    pub fn pop(&mut self) -> Option<T> {
        let Some(last) = self.rest.last_mut() else { return self.first.pop() };
        let value = last.pop();
        if last.is_empty() {
            self.rest.pop();
        }
        value
    }

    /// Takes values out at the end until there are no more than `len`.
    pub fn truncate(&mut self, len: usize) {
        while self.len() > len {
            self.pop();
        }
    }

    /// Adds what `value` makes at the end, until there are `len` values; takes none out.
    pub fn extend_to(&mut self, len: usize, mut value: impl FnMut() -> T) {
        while self.len() < len {
            self.push(value());
        }
    }

    /// Exchanges the values at `a` and `b`.
    ///
    /// # Panics
    ///
    /// If there is no value at one of them.
    pub fn swap(&mut self, a: usize, b: usize)
    where
        T: Copy,
    {
        let values = (self.get(a).copied(), self.get(b).copied());
        let (Some(at_a), Some(at_b)) = values else { panic!("no value at {a} or {b}") };
        *self.get_mut(a).expect("a value was here") = at_b;
        *self.get_mut(b).expect("a value was here") = at_a;
    }

    /// Takes out the value at `index`; the last one takes its place.
    ///
    /// # Panics
    ///
    /// If there is no value at `index`.
    pub fn swap_remove(&mut self, index: usize) -> T {
        let last = self.pop().expect("a value is taken out of a row that has one");
        if index == self.len() {
            return last;
        }
        std::mem::replace(self.get_mut(index).expect("there is a value at the index"), last)
    }

    fn page(&self, number: usize) -> Option<&Vec<T>> {
        match number.checked_sub(1) {
            None => Some(&self.first),
            Some(number) => self.rest.get(number),
        }
    }

    fn page_mut(&mut self, number: usize) -> Option<&mut Vec<T>> {
        match number.checked_sub(1) {
            None => Some(&mut self.first),
            Some(number) => self.rest.get_mut(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    /// So large that a page holds four.
    type Large = [u64; 512];

    fn large(number: u64) -> Large {
        [number; 512]
    }

    #[test]
    fn a_row_does_what_a_vec_does_through_any_history() {
        let mut rng = Rng::new(7);
        let (mut row, mut vec) = (Paged::default(), Vec::new());
        for number in 0..5_000 {
            let at = usize::try_from(rng.below(vec.len() as u64 + 1)).unwrap();
            match rng.below(7) {
                0..=3 => {
                    row.push(large(number));
                    vec.push(large(number));
                }
                4 if at < vec.len() => assert_eq!(row.swap_remove(at), vec.swap_remove(at)),
                5 if at < vec.len() => {
                    row.swap(at, 0);
                    vec.swap(at, 0);
                }
                _ => assert_eq!(row.pop(), vec.pop()),
            }
            assert_eq!((row.len(), row.is_empty()), (vec.len(), vec.is_empty()));
            let at = at.min(vec.len());
            assert_eq!((row.get(at), row.last()), (vec.get(at), vec.last()));
            assert!(vec[at..].starts_with(row.run(at)));
            assert_eq!(row.run(at).is_empty(), at == vec.len());
        }
        assert!(vec.len() > 100 && row.iter().eq(&vec) && row.iter_mut().eq(&mut vec));
    }

    #[test]
    fn a_page_is_bounded_and_a_short_row_owns_no_page() {
        assert_eq!(Paged::<Large>::PAGE_LEN, 4);
        assert_eq!(Paged::<[u8; 12]>::PAGE_LEN, 1_024);
        assert_eq!(Paged::<[u8; 40_000]>::PAGE_LEN, 1);
        let mut row = Paged::default();
        row.push(1_u64);
        assert!(row.first.capacity() <= 4 && row.rest.is_empty());
        row.extend_to(3_000, || 2);
        assert_eq!(row.first.capacity(), 2_048);
        assert_eq!((row.rest.len(), row.rest[0].capacity()), (1, 2_048));
    }

    #[test]
    fn a_row_is_cut_short() {
        let mut row = Paged::default();
        row.extend_to(10, || large(7));
        row.truncate(20);
        row.truncate(3);
        assert_eq!((row.len(), row.rest.len()), (3, 0));
    }

    #[test]
    #[should_panic(expected = "no value at 1 or 0")]
    fn an_exchange_with_nothing_is_a_mistake() {
        let mut row = Paged::default();
        row.push(1);
        row.swap(1, 0);
    }
}
