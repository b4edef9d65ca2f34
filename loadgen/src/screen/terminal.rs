//! The terminal, taken for a while and always given back: when the screen goes, when something
//! panics, and when a signal ends the program.
//!
//! What is logged meanwhile would be drawn over, so it is kept and written when the terminal is
//! back.

use std::io::{self, IsTerminal, Stderr, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, PoisonError};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{Frame, Terminal as Drawing};

/// So much of the log is kept while the terminal is taken; what comes after that is lost.
const LOG_BYTES_MAX: usize = 64 * 1024;

/// Whether the terminal is taken. Whoever lowers it gives the terminal back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What was logged since. Threads of all kinds log, and whichever panics gives the terminal back.
#[allow(clippy::disallowed_types)] // nothing that is measured waits for it
static KEPT: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());

/// What somebody at the keys wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// An end, as an interrupt would have it.
    Quit,
    /// A result of what there is until now.
    Snapshot,
    /// More connections.
    More,
    /// Fewer.
    Fewer,
}

/// The terminal while it is ours.
#[derive(Debug)]
pub(super) struct Terminal {
    drawing: Drawing<CrosstermBackend<Stderr>>,
}

impl Terminal {
    /// Whether somebody sits there who sees what is drawn and can press keys.
    pub(super) fn is_there() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        io::stderr().is_terminal() && io::stdin().is_terminal() && !is_dumb
    }

    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                usual(info);
            }));
        });
        let drawing = Drawing::new(CrosstermBackend::new(io::stderr()))?;
        terminal::enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        execute!(io::stderr(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(Self { drawing })
    }

    /// Draws, unless the terminal has been given back meanwhile.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) {
        if TAKEN.load(Ordering::SeqCst) {
            // A terminal that has gone is no reason to stop measuring.
            let _ = self.drawing.draw(draw);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// What has been asked for by keys since the last time, while the terminal is taken.
pub(super) fn wishes() -> Vec<Wish> {
    let mut wishes = Vec::new();
    while TAKEN.load(Ordering::SeqCst) && event::poll(Duration::ZERO).unwrap_or(false) {
        match event::read() {
            Ok(event) => wishes.extend(wish(&event)),
            Err(_) => break,
        }
    }
    wishes
}

/// Gives the terminal back, if it was taken.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stderr(), terminal::LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
        let kept = std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = io::stderr().write_all(&kept);
    }
}

fn wish(event: &Event) -> Option<Wish> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Wish::Quit),
        // The terminal does not make signals of keys while it is ours.
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Wish::Quit),
        KeyCode::Char('s') => Some(Wish::Snapshot),
        KeyCode::Char('+' | '=') => Some(Wish::More),
        KeyCode::Char('-') => Some(Wish::Fewer),
        _ => None,
    }
}

/// Where the log is written: standard error, or a store while that is drawn upon.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !TAKEN.load(Ordering::SeqCst) {
            return io::stderr().write(bytes);
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let room = LOG_BYTES_MAX.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn keys_are_wishes_and_others_are_nothing() {
        let pressed = |code, modifiers| wish(&Event::Key(KeyEvent::new(code, modifiers)));
        for (key, wanted) in [
            ('q', Some(Wish::Quit)),
            ('s', Some(Wish::Snapshot)),
            ('+', Some(Wish::More)),
            ('=', Some(Wish::More)),
            ('-', Some(Wish::Fewer)),
            ('c', None),
            ('x', None),
        ] {
            assert_eq!(pressed(KeyCode::Char(key), KeyModifiers::NONE), wanted, "{key}");
        }
        let interrupt = pressed(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(interrupt, Some(Wish::Quit));
        assert_eq!(wish(&Event::Resize(80, 24)), None);
    }
}
