'use strict';
const fs = require('fs');
import { a, b } from "lodash";
import x from './local.js';
const fact = n => n < 2 ? 1 : n * fact(n - 1);
const re = /"[/]'/g, q = 4 / 2 / 1;
class Foo {
  bar(y) { for (const i of y) { this.bar(i); } }
  async baz() { await this.bar([1]); }
}
function go(n) {
  const t = `text ${n} for (`;
  [1, 2].forEach(i => { for (let j = 0; j < i; j++) console.log(i); });
  if (n) { return new Map(); } else if (fs) { go(n - 1); }
}
const w = new Worker('x'), f = function (z) { return f(z); };
