//! `par_iter().map().collect()` of rayon over the same opaque C function that all contenders call.

use rayon::prelude::*;
use std::os::raw::c_void;

type Body = unsafe extern "C" fn(*mut c_void, *mut c_void, *mut *mut c_void, *mut c_void) -> i32;

/// Sets the number of threads of rayon's global pool; false if the pool exists already.
#[no_mangle]
pub extern "C" fn rayon_peer_start(threads: usize) -> bool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .is_ok()
}

/// Maps `items` into a new vector, which belongs to the caller until `rayon_peer_free`.
///
/// # Safety
/// `items` points to `count` pointers, and `body` may be called with each of them from any thread.
#[no_mangle]
pub unsafe extern "C" fn rayon_peer_map(
    body: Body,
    items: *const usize,
    count: usize,
) -> *mut Vec<usize> {
    let items = std::slice::from_raw_parts(items, count);
    let values: Vec<usize> = items
        .par_iter()
        .map(|&item| {
            let mut value: *mut c_void = std::ptr::null_mut();
            body(
                std::ptr::null_mut(),
                item as *mut c_void,
                &mut value,
                std::ptr::null_mut(),
            );
            value as usize
        })
        .collect();
    Box::into_raw(Box::new(values))
}

/// The value at `index`.
///
/// # Safety
/// `values` comes from `rayon_peer_map` and was not freed.
#[no_mangle]
pub unsafe extern "C" fn rayon_peer_value(values: *const Vec<usize>, index: usize) -> usize {
    (&(*values))[index]
}

/// Frees a vector.
///
/// # Safety
/// `values` comes from `rayon_peer_map` and was not freed.
#[no_mangle]
pub unsafe extern "C" fn rayon_peer_free(values: *mut Vec<usize>) {
    drop(Box::from_raw(values));
}
