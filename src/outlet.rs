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
    shared: Arc<Shared>,
    thread: Thread,
    ended: Receiver<()>,
}

/// Where lines are put in. Each writer that should wait for no other has its own.
#[derive(Clone, Debug)]
pub struct Inlet {
    buffer: Arc<Mutex<Vec<u8>>>,
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    inlets: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
    /// Whether something was put in since the thread last looked.
    filled: AtomicBool,
    closing: AtomicBool,
}

/// How much may wait in an inlet, in bytes: hundreds of lines, or a hiccup of whoever reads them.
const ROOM: usize = 512 * 1024;

/// How long a file that said "not now" is left alone: somebody has made it non-blocking.
const NOT_NOW: Duration = Duration::from_millis(10);

// === impl Outlet ===

impl Outlet {
    /// Opens a way into `file`, which is written to once a `pace` at most, so that lines leave together. A write that
    /// failed is told to `failed`, with what it left unwritten; the lines after it are tried nevertheless.
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
        Ok(Self { shared, thread: thread.thread().clone(), ended })
    }

    /// One more inlet.
    pub fn inlet(&self) -> Inlet {
        let buffer = Arc::default();
        lock(&self.shared.inlets).push(Arc::clone(&buffer));
        Inlet { buffer, shared: self.shared.clone(), thread: self.thread.clone() }
    }

    /// Waits until everything that was put in has left, within `limit`. What is put in later goes nowhere.
    pub fn close(self, limit: Duration) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
        // A file that takes nothing for so long must not keep the process.
        self.ended.recv_timeout(limit).ok();
    }
}

// === impl Inlet ===

impl Inlet {
    /// Lets `write` append a line; says whether there was room for one.
    pub fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        {
            let mut buffer = lock(&self.buffer);
            if buffer.len() >= ROOM {
                return false;
            }
            write(&mut buffer);
        }
        if !self.shared.filled.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
        true
    }
}

/// For the log, whose every line comes in one piece.
impl Write for Inlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(|buffer| buffer.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
            for inlet in 0.. {
                let Some(buffer) = lock(&self.inlets).get(inlet).cloned() else { break };
                std::mem::swap(&mut taken, &mut *lock(&buffer));
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

    /// Lets lines gather, unless everything is to leave now.
    fn rest(&self, pace: Duration) {
        let end = Instant::now() + pace;
        while !self.closing.load(Ordering::Acquire) {
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
        let inlets = [outlet.inlet(), outlet.inlet()];
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
        let inlet = outlet.inlet();
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
        outlet.inlet().put(|buffer| buffer.extend_from_slice(b"lost\n"));
        assert_eq!(told.recv_timeout(LIMIT).unwrap(), (ErrorKind::BrokenPipe, b"lost\n".to_vec()));
        outlet.close(LIMIT);
    }
}
