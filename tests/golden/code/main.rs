use std::collections::HashMap;
use rayon::prelude::*;
extern crate rand;
/* outer /* inner */ for */
fn fact<'a>(n: u64, s: &'a str) -> u64 { if n == 0 { 1 } else { n * fact(n - 1, s) } }
fn main() {
    let r = r#"for "x" loop {"#;
    let c = '{';
    let mut v = Vec::with_capacity(10);
    for i in 0..10 { while i > 3 { loop { v.push(i); } } }
    let h = std::thread::spawn(move || { println!("{}", fact(3, r)); });
    match v.len() { 0 => {}, _ => {} }
}
