-module(a).
-include("x.hrl").
%% for
fact(0) -> 1;
fact(N) -> N * fact(N - 1).

main(_) ->
    spawn(fun() -> ok end),
    lists:foreach(fun(X) -> io:format("~p", [X]) end, [1, 2]),
    case fact(3) of
        6 -> ok;
        _ -> error
    end.
