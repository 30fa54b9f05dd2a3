// E0277: items of a slice are encoded on libpa's threads
use libpa::{BoxError, Codec, Options, Raw};
use std::cell::Cell;

struct Cells;

impl Codec<Cell<u8>> for Cells {
    fn encode(&self, cell: &Cell<u8>, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(cell.get());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Cell<u8>, BoxError> {
        Ok(Cell::new(bytes[0]))
    }
}

fn main() {
    let task = libpa::task("cells", |_: Cell<u8>, _call| Ok::<_, std::fmt::Error>(())).register_with(Cells, Raw).unwrap();
    libpa::worker_main();
    let _ = Options::new().map_task(&[Cell::new(1)], &task);
}
