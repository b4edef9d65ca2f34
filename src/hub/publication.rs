//! A publication in every form in which somebody is sent it.
//!
//! Invariant: a form is written once, where the publication is accepted, and all subscribers of all
//! cores that are sent this form share its bytes.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::Shared;

/// What is written to a peer. The count is local, so that a fan-out to very many subscribers
/// touches no memory that another core looks at; the bytes inside are shared by all cores.
pub type Frame = Rc<Shared>;

/// Names a form beside the plain one. What the number means is for those to know who write forms
/// and choose among them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Form(pub u8);

/// A publication on its way between cores.
#[derive(Clone, Debug)]
pub struct Publication {
    plain: Shared,
    others: Option<Arc<[(Form, Shared)]>>,
}

impl Publication {
    /// A publication in its plain form, which everybody understands, and in others.
    pub fn new(plain: Shared, others: Vec<(Form, Shared)>) -> Self {
        let others = if others.is_empty() { None } else { Some(others.into()) };
        Self { plain, others }
    }

    /// The bytes of all forms.
    pub fn bytes(&self) -> usize {
        self.plain.len() + self.others().iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    fn others(&self) -> &[(Form, Shared)] {
        self.others.as_deref().unwrap_or_default()
    }
}

impl From<Shared> for Publication {
    fn from(plain: Shared) -> Self {
        Self { plain, others: None }
    }
}

/// A publication on one core, whose counts are local.
#[derive(Clone, Debug)]
pub struct Frames {
    plain: Frame,
    others: Box<[(Form, Frame)]>,
}

impl Frames {
    /// The form that is asked for, or the plain one if it was not written in that.
    pub fn in_form(&self, form: Option<Form>) -> (&Frame, bool) {
        let written = self.others.iter().find(|(other, _)| form == Some(*other));
        written.map_or((&self.plain, false), |(_, frame)| (frame, true))
    }

    /// The form that everybody understands.
    pub fn plain(&self) -> &Frame {
        &self.plain
    }

    /// The bytes of all forms.
    pub(super) fn bytes(&self) -> usize {
        self.plain.len() + self.others.iter().map(|(_, frame)| frame.len()).sum::<usize>()
    }
}

impl From<&Publication> for Frames {
    /// One allocation for each form: the only ones that a publication costs each core.
    fn from(publication: &Publication) -> Self {
        let local = |(form, bytes): &(Form, Shared)| (*form, Rc::new(bytes.clone()));
        Self {
            plain: Rc::new(publication.plain.clone()),
            others: publication.others().iter().map(local).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_was_not_written_is_replaced_by_the_plain_one() {
        let publication =
            Publication::new(Shared::from("plain"), vec![(Form(9), Shared::from("short"))]);
        let frames = Frames::from(&publication);
        let table = [(None, "plain"), (Some(Form(9)), "short"), (Some(Form(10)), "plain")];
        for (form, expected) in table {
            let (frame, is_other) = frames.in_form(form);
            assert_eq!((&***frame, is_other), (expected.as_bytes(), expected == "short"));
        }
        assert_eq!((publication.bytes(), frames.bytes()), (10, 10));
    }

    #[test]
    fn a_plain_publication_owns_nothing_beside_its_bytes() {
        let publication = Publication::new(Shared::from("plain"), Vec::new());
        assert!(publication.others.is_none());
        assert!(Frames::from(&publication).others.is_empty());
    }
}
