//! [`Output`]: where lines go, a file that rotates or standard output. In: complete lines. Out: how many of them are
//! written. Invariants: an existing file is appended to, never overwritten; after a failed write the file ends with a
//! complete line, or the next line starts on a new one; no line is written twice. On Linux, room for the events that may be
//! under way is taken on the disk before they are: an answer that was sent on does not wait for room that is not there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::lines::Lines;

/// Something that takes lines.
#[derive(Debug)]
pub(super) enum Output {
    File(LogFile),
    Stdout(File),
}

impl Output {
    /// Standard output, unbuffered, so that what was written is known.
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::Stdout(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    /// Writes `lines`; adds to `done` each one that is written as a whole.
    pub fn write(&mut self, lines: &Lines, done: &mut usize) -> io::Result<()> {
        match self {
            Self::File(file) => file.write(lines, done),
            Self::Stdout(file) => {
                while *done < lines.len() {
                    file.write_all(lines.bytes(*done..*done + 1))?;
                    *done += 1;
                }
                Ok(())
            }
        }
    }

    /// Closes and opens the file again by its name.
    pub fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.reopen(),
            Self::Stdout(_) => Ok(()),
        }
    }

    /// Makes what was written durable.
    pub fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::File(log) if log.now.regular => {
                log.now.give_back();
                log.now.file.sync_data()
            }
            Self::File(_) | Self::Stdout(_) => Ok(()),
        }
    }
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotate_bytes: u64,
    keep: usize,
    /// Bytes behind the end of the file for which there must be room.
    ahead: u64,
    now: Opened,
}

#[derive(Debug)]
struct Opened {
    file: File,
    /// Device and inode of `file`.
    identity: (u64, u64),
    /// Not a device or pipe.
    regular: bool,
    size: u64,
    /// The file ends in the middle of a line that could not be taken back.
    torn: bool,
    /// Up to here there is room; the largest number where that cannot be known.
    reserved: u64,
}

impl LogFile {
    /// `ahead` are bytes for which there must always be room.
    pub fn open(path: PathBuf, rotate_bytes: u64, keep: usize, ahead: u64) -> io::Result<Self> {
        let mut now = Opened::new(&path)?;
        now.reserve(ahead)?;
        Ok(Self { path, rotate_bytes, keep, ahead, now })
    }

    fn reopen(&mut self) -> io::Result<()> {
        if !self.is_in_place() {
            // It was moved away, and grows no more.
            self.now.give_back();
        }
        // The old lock would stand in the way when the name still leads to the same file.
        let _ = flock(&self.now.file, FlockOperation::Unlock);
        self.now = Opened::new(&self.path)?;
        Ok(())
    }

    fn write(&mut self, lines: &Lines, done: &mut usize) -> io::Result<()> {
        if !self.is_in_place() {
            self.reopen()?;
        }
        while *done < lines.len() {
            let group = self.next_group(lines, *done);
            if group == 0 {
                self.rotate()?;
                continue;
            }
            let end = (*done + group).min(lines.len());
            self.append(lines, *done..end, done)?;
        }
        self.now.reserve(self.ahead)
    }

    /// Whether the name still leads to the open file: logrotate and people move and remove files.
    fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.now.identity)
    }

    /// How many of `lines`, from `first` on, fit before the file must rotate; at least one into an empty file.
    fn next_group(&self, lines: &Lines, first: usize) -> usize {
        if self.rotate_bytes == 0 || !self.now.regular {
            return lines.len() - first;
        }
        let mut size = self.now.size;
        let mut count = 0;
        for line in first..lines.len() {
            let length = lines.bytes(line..line + 1).len() as u64;
            if size > 0 && size + length > self.rotate_bytes {
                break;
            }
            size += length;
            count += 1;
        }
        count
    }

    fn append(&mut self, lines: &Lines, group: Range<usize>, done: &mut usize) -> io::Result<()> {
        if self.now.torn {
            // What cannot be written here is tried again with everything else.
            while match self.now.file.write(b"\n") {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                Err(error) => return Err(error),
            } {}
            self.now.size += 1;
            self.now.torn = false;
        }
        let buffer = lines.bytes(group.clone());
        let mut written = 0;
        let result = loop {
            match self.now.file.write(buffer.get(written..).unwrap_or_default()) {
                Ok(0) if written < buffer.len() => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if written >= buffer.len() {
                break Ok(());
            }
        };
        self.now.size += written as u64;
        let mut complete = 0;
        for line in group {
            let length = lines.bytes(line..line + 1).len();
            if complete + length > written {
                break;
            }
            complete += length;
            *done += 1;
        }
        if written > complete {
            // A part of a line: take it back, or else start the next line on a new one.
            let size = self.now.size.saturating_sub((written - complete) as u64);
            match self.now.file.set_len(size) {
                Ok(()) => self.now.size = size,
                Err(_) => self.now.torn = true,
            }
        }
        result
    }

    /// Moves `audit.jsonl` to `audit.jsonl.1`, that to `.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        self.now.give_back();
        self.now.file.sync_data()?;
        for number in (1..self.keep).rev() {
            match fs::rename(numbered(number), numbered(number + 1)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        fs::rename(&self.path, numbered(1))?;
        self.reopen()
    }
}

impl Opened {
    fn new(path: &Path) -> io::Result<Self> {
        let open = |read| OpenOptions::new().append(true).create(true).read(read).mode(0o600).open(path);
        let mut file = open(true).or_else(|_| open(false))?;
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        let mut torn = false;
        if regular {
            // Any other error: some network file systems have no locks.
            if let Err(rustix::io::Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes to this file"));
            }
            if metadata.len() > 0 && file.seek(SeekFrom::End(-1)).is_ok() {
                let mut last = [0];
                torn = file.read_exact(&mut last).is_ok() && last != *b"\n";
            }
        }
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { file, identity, regular, size: metadata.len(), torn, reserved: 0 })
    }

    /// Takes room for `ahead` bytes behind the end, twice as much when it takes any.
    #[cfg(target_os = "linux")]
    fn reserve(&mut self, ahead: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        if !self.regular || self.reserved >= self.size.saturating_add(ahead) {
            return Ok(());
        }
        let take = |bytes| fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.size, bytes);
        let taken = take(ahead.saturating_mul(2)).map(|()| 2).or_else(|_| take(ahead).map(|()| 1));
        self.reserved = match taken {
            Ok(times) => self.size.saturating_add(ahead.saturating_mul(times)),
            // The file system does not know how, or there is nothing to take.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => u64::MAX,
            Err(error) => return Err(error.into()),
        };
        Ok(())
    }

    /// Gives back the room behind the end.
    fn give_back(&mut self) {
        if self.reserved > 0 && self.regular {
            self.reserved = 0;
            // What cannot be given back is taken until the file goes.
            let _ = self.file.metadata().and_then(|now| self.file.set_len(now.len()));
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as on Linux")]
    fn reserve(&mut self, _ahead: u64) -> io::Result<()> {
        Ok(())
    }
}
