#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| epochkey_fuzz::store_file::check(data));
