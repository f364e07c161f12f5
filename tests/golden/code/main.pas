program a;
uses SysUtils, Classes;
{ for begin }
function Fact(n: integer): integer;
begin
  if n < 2 then Fact := 1 else Fact := n * fact(n - 1);
end;
procedure Run;
var i, j: integer;
begin
  for i := 1 to 10 do
    for j := 1 to i do begin
      writeln('it''s for begin');
      repeat i := i + 1 until i > 3;
    end;
  while i > 0 do i := i - 1;
end;
begin
  Run;
end.
