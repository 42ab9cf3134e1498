//! New clusters, without the time that making one takes.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{cluster::Cluster, programs};

/// The files of a new cluster. All clusters made of them have the same system identifier.
pub(super) struct Template {
    directories: Vec<PathBuf>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

/// In memory, because a directory would outlive the process.
static TEMPLATE: Mutex<Option<Arc<Template>>> = Mutex::new(None);

impl Template {
    pub(super) fn get() -> io::Result<Arc<Self>> {
        let mut kept = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = &*kept {
            return Ok(Arc::clone(template));
        }
        let template = Arc::new(Self::make()?);
        *kept = Some(Arc::clone(&template));
        Ok(template)
    }

    fn make() -> io::Result<Self> {
        let cluster = Cluster::new()?;
        let mut initdb = cluster.command("initdb");
        initdb.args(["--no-sync", "--no-instructions", "--auth=trust"]);
        initdb.args(["--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.arg("--pgdata").arg(&cluster.data);
        programs::run(&mut initdb)?;
        let mut template = Self {
            directories: Vec::new(),
            files: Vec::new(),
        };
        template.read(&cluster.data, Path::new(""))?;
        Ok(template)
    }

    fn read(&mut self, data: &Path, inner: &Path) -> io::Result<()> {
        for entry in fs::read_dir(data.join(inner))? {
            let entry = entry?;
            let name = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.directories.push(name.clone());
                self.read(data, &name)?;
            } else {
                self.files.push((name, fs::read(entry.path())?));
            }
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        let files = self.files.iter();
        files.map(|(_, bytes)| bytes.len() as u64).sum()
    }

    pub(super) fn write(&self, data: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(data)?;
        for name in &self.directories {
            fs::create_dir(data.join(name))?;
        }
        for (name, bytes) in &self.files {
            fs::write(data.join(name), bytes)?;
        }
        Ok(())
    }
}
