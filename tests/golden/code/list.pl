#!/usr/bin/perl
use strict;
use List::Util qw(sum max);
=pod
for while
=cut
sub fact { my ($n) = @_; return $n < 2 ? 1 : $n * fact($n - 1); }
my @a = (1 .. 10);
for my $i (0 .. $#a) {
    foreach my $j (@a) {
        push @a, $j if $j =~ m/for"{/;
        $j =~ s/a{/b/g;
    }
}
print "x$_\n" for @a;
my $t = <<"END";
while (1) {
END
my $q = q{for {nested} if};
