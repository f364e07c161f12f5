package a;
import java.util.List;
import java.util.concurrent.*;
public class A extends B {
    private final List<String> xs = new ArrayList<>();
    public A(int n) throws IOException { this.n = n; }
    @Override
    public static int fact(int n) {
        return n < 2 ? 1 : n * fact(n - 1);
    }
    void run() {
        for (String x : xs) {
            for (int i = 0; i < 3; i++) System.out.println(x + '"');
            if (x.isEmpty()) continue;
        }
        Thread t = new Thread(() -> { while (true) { go(); } });
        try { t.join(); } catch (Exception e) { throw e; }
        String s = """
            for (;;) { "
            """;
    }
}
