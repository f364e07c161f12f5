<?php
use Foo\Bar;
require_once 'vendor/autoload.php';
function fact($n) { return $n < 2 ? 1 : $n * fact($n - 1); }
# for
foreach ($xs as $x) {
    for ($i = 0; $i < 3; $i++) { echo "for {$x}"; }
    if ($x) { $y = new Foo(); } elseif ($z) { }
}
$f = function ($x) use ($y) { return $x; };
$t = <<<EOT
while (1) {
EOT;
