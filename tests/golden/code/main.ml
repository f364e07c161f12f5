open Printf
(* for (* nested *) while *)
let rec fact n =
  if n < 2 then 1 else n * fact (n - 1)

let x = 3
let main () =
  for i = 1 to 10 do
    for j = 1 to i do
      printf "%d\n" (fact j)
    done
  done;
  let a = Array.make 10 0 in
  while a.(0) < 3 do a.(0) <- 4 done
let () = main ()
