with Ada.Text_IO; use Ada.Text_IO;
with Ada.Command_Line;
procedure Main is
   function Fact (N : Integer) return Integer is
   begin
      if N < 2 then return 1; end if;
      return N * Fact (N - 1);
   end Fact;
   task type Worker;
begin
   for I in 1 .. 10 loop
      while I > 3 loop
         Put_Line ("for loop" & Integer'Image (Fact (3)) & ''');
      end loop;
   end loop;
   loop
      exit;
   end loop;
end Main;
