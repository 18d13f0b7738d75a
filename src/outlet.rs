//! A way out of the process that makes nobody wait: the request lines leave through one, the log through another.
//!
//! Who has a line puts it into an [`Inlet`], a bounded buffer, and goes on; a thread empties the inlets into the file
//! behind. If the file takes nothing, such as a pipe that nobody reads, the inlets fill up, and what finds no room is
//! not taken. The one lock is held for as long as it takes to write a line into memory, or to swap two buffers.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The thread and the file behind it.
#[derive(Debug)]
pub struct Outlet {
    inlets: Inlets,
    ended: Receiver<()>,
}

/// Where inlets are opened.
#[derive(Clone, Debug)]
pub struct Inlets {
    shared: Arc<Shared>,
    thread: Thread,
}

/// Where lines are put in. Each writer that should wait for no other has its own; what it has put in leaves also when
/// the inlet is dropped.
#[derive(Debug)]
pub struct Inlet {
    waiting: Arc<Mutex<Waiting>>,
    inlets: Inlets,
}

/// The lines of one inlet.
#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether nobody puts in any more.
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inlets: Mutex<Vec<Arc<Mutex<Waiting>>>>,
    /// Whether something was put in since the thread last looked.
    filled: AtomicBool,
    /// Whether an inlet has come to be half full since then: what waits must not gather any longer.
    hurried: AtomicBool,
    closing: AtomicBool,
}

/// How much may wait in an inlet, in bytes: thousands of lines. A worker that does nothing else fills it in 50 ms, for which
/// the thread may have to wait on a busy machine.
const ROOM: usize = 1024 * 1024;

/// How long a file that said "not now" is left alone: somebody has made it non-blocking.
const NOT_NOW: Duration = Duration::from_millis(10);

// === impl Outlet ===

impl Outlet {
    /// Opens a way into `file`. Lines may gather for a `pace` before they leave together, unless they are many. A write
    /// that failed is told to `failed`, with what it left unwritten; the lines after it are tried nevertheless.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn open(
        name: &str,
        file: impl Write + Send + 'static,
        pace: Duration,
        failed: impl Fn(&io::Error, &[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (end, ended) = channel();
        let emptied = shared.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            emptied.keep_empty(file, pace, &failed);
            // Nobody waits for this any more if it took too long.
            end.send(()).ok();
        })?;
        Ok(Self { inlets: Inlets { shared, thread: thread.thread().clone() }, ended })
    }

    /// Where its inlets are opened.
    pub fn inlets(&self) -> &Inlets {
        &self.inlets
    }

    /// Waits until everything that was put in has left, within `limit`. What is put in later goes nowhere.
    pub fn close(&self, limit: Duration) {
        self.inlets.shared.closing.store(true, Ordering::Release);
        self.inlets.thread.unpark();
        // A file that takes nothing for so long must not keep the process.
        self.ended.recv_timeout(limit).ok();
    }
}

// === impl Inlets ===

impl Inlets {
    /// One more inlet.
    pub fn open(&self) -> Inlet {
        let waiting = Arc::default();
        lock(&self.shared.inlets).push(Arc::clone(&waiting));
        Inlet { waiting, inlets: self.clone() }
    }

    /// Has the thread look, unless it is about to.
    fn wake(&self) {
        // A look first, since setting it takes its line of memory from the other workers each time. It is not too old: whoever
        // put something in after the thread has emptied the inlet, under the same lock, sees that the thread had reset this.
        if !self.shared.filled.load(Ordering::Relaxed) && !self.shared.filled.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }

    /// Has the thread look at once, even if it lets lines gather.
    fn hurry(&self) {
        self.shared.hurried.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

// === impl Inlet ===

impl Inlet {
    /// Lets `write` append a line; says whether there was room for one.
    pub fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let grown = {
            let lines = &mut lock(&self.waiting).lines;
            let before = lines.len();
            if before >= ROOM {
                return false;
            }
            write(lines);
            before..lines.len()
        };
        self.inlets.wake();
        if grown.contains(&(ROOM / 2)) {
            self.inlets.hurry();
        }
        true
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        lock(&self.waiting).closed = true;
        self.inlets.wake();
    }
}

// === impl Shared ===

impl Shared {
    /// Empties the inlets into the file, until it is told to close and they are empty.
    fn keep_empty(&self, mut file: impl Write, pace: Duration, failed: &impl Fn(&io::Error, &[u8])) {
        let mut taken = Vec::new();
        loop {
            // What is put in after this look may stay; what came before it leaves.
            let closing = self.closing.load(Ordering::Acquire);
            if !self.filled.swap(false, Ordering::AcqRel) && !closing {
                thread::park();
                continue;
            }
            self.hurried.store(false, Ordering::Release);
            let inlets = lock(&self.inlets).clone();
            for inlet in inlets {
                let closed = {
                    let mut waiting = lock(&inlet);
                    std::mem::swap(&mut taken, &mut waiting.lines);
                    waiting.closed
                };
                if closed {
                    lock(&self.inlets).retain(|other| !Arc::ptr_eq(other, &inlet));
                }
                if let Err((error, left)) = write_all(&mut file, &taken) {
                    failed(&error, left);
                }
                taken.clear();
            }
            if closing {
                return;
            }
            self.rest(pace);
        }
    }

    /// Lets lines gather, unless they are to leave now.
    fn rest(&self, pace: Duration) {
        let end = Instant::now() + pace;
        while !self.closing.load(Ordering::Acquire) && !self.hurried.load(Ordering::Acquire) {
            match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return,
            }
        }
    }
}

/// As `Write::write_all`, but tells what is left, and waits for a file that is not ready.
fn write_all<'b>(file: &mut impl Write, mut bytes: &'b [u8]) -> Result<(), (io::Error, &'b [u8])> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err((ErrorKind::WriteZero.into(), bytes)),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(NOT_NOW),
            Err(error) => return Err((error, bytes)),
        }
    }
    Ok(())
}

/// A line that a panic has left half written harms none but itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn nothing_fails(error: &io::Error, _: &[u8]) {
        panic!("{error}");
    }

    #[test]
    fn what_was_put_in_has_left_when_it_is_closed() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let outlet = Outlet::open("test", writer, LIMIT, nothing_fails).unwrap();
        let inlets = [outlet.inlets().open(), outlet.inlets().open()];
        for inlet in &inlets {
            assert!(inlet.put(|buffer| buffer.extend_from_slice(b"line\n")));
        }
        // However long the pace is, nobody has to wait for its end.
        let closing = thread::spawn(move || outlet.close(LIMIT));
        let mut text = [0; 10];
        io::Read::read_exact(&mut reader, &mut text).unwrap();
        assert_eq!(&text, b"line\nline\n");
        closing.join().unwrap();
    }

    #[test]
    fn a_file_that_takes_nothing_costs_lines_and_no_time() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let outlet = Outlet::open("test", writer, Duration::ZERO, |_, _| ()).unwrap();
        let inlet = outlet.inlets().open();
        let line = [b'x'; 4096];
        let put = || inlet.put(|buffer| buffer.extend_from_slice(&line));
        // More than the socket's own buffer, the thread's hands and the inlet hold together.
        assert!((0..10_000).any(|_| !put()), "there was always room");
        outlet.close(Duration::ZERO);
        drop(reader);
    }

    #[test]
    fn what_a_failed_write_leaves_is_told() {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let (tell, told) = channel();
        let failed = move |error: &io::Error, left: &[u8]| tell.send((error.kind(), left.to_vec())).unwrap();
        let outlet = Outlet::open("test", writer, Duration::ZERO, failed).unwrap();
        outlet.inlets().open().put(|buffer| buffer.extend_from_slice(b"lost\n"));
        assert_eq!(told.recv_timeout(LIMIT).unwrap(), (ErrorKind::BrokenPipe, b"lost\n".to_vec()));
        outlet.close(LIMIT);
    }

    /// Also while they may gather: else a burst would cost lines though whoever reads them is quick.
    #[test]
    fn lines_leave_before_their_inlet_is_full() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        reader.set_read_timeout(Some(LIMIT)).unwrap();
        let outlet = Outlet::open("test", writer, LIMIT * 60, nothing_fails).unwrap();
        let inlet = outlet.inlets().open();
        let line = [b'x'; 1024];
        let (mut put, mut read) = (0, 0);
        while put < 4 * ROOM {
            for _ in 0..ROOM / 4 / line.len() {
                assert!(inlet.put(|buffer| buffer.extend_from_slice(&line)), "no room after {put} bytes");
                put += line.len();
            }
            // Half of the room may still be waiting.
            let mut due = vec![0; put.saturating_sub(ROOM / 2 + read)];
            io::Read::read_exact(&mut reader, &mut due).unwrap();
            read += due.len();
        }
    }

    #[test]
    fn an_inlet_that_is_dropped_leaves_its_lines_and_nothing_else() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let outlet = Outlet::open("test", writer, Duration::ZERO, nothing_fails).unwrap();
        for _ in 0..1000 {
            outlet.inlets().open().put(|buffer| buffer.push(b'x'));
        }
        io::Read::read_exact(&mut reader, &mut [0; 1000]).unwrap();
        let shared = outlet.inlets().shared.clone();
        outlet.close(LIMIT);
        assert_eq!(lock(&shared.inlets).len(), 0);
    }
}
