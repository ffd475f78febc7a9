#!/usr/bin/env python3
"""tools/check-coroutines finds each temporary that g++ 12 destroys twice, and shows clang-query no file without need."""
import pathlib
import subprocess
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parent.parent.parent / "tools/check-coroutines"
# As little as makes a coroutine; the library's headers take seconds to parse.
PREAMBLE = """
namespace std {
template <class R, class... A>
struct coroutine_traits { using promise_type = typename R::promise_type; };
template <class P = void>
struct coroutine_handle { static coroutine_handle from_address(void*) noexcept { return {}; } };
template <>
struct coroutine_handle<void> {
  coroutine_handle() = default;
  template <class P>
  coroutine_handle(coroutine_handle<P>) noexcept {}
  static coroutine_handle from_address(void*) noexcept { return {}; }
};
}  // namespace std
struct Never {
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<>) noexcept;
  int await_resume() noexcept;
};
struct Task : Never {
  struct promise_type {
    Task get_return_object();
    Never initial_suspend() noexcept;
    Never final_suspend() noexcept;
    void return_void();
    void unhandled_exception();
  };
};
struct Options { int a{1}; int b{2}; };
struct Millis { explicit Millis(int); };
struct Made { explicit Made(Options = {}); };
struct Converted { Converted(int); };
Task run(int);
Task sleep_for(Millis);
Task configure(int, Options = {});
Task choose(int, int = sizeof(int) == 4 ? 1 : 2);
Task take(Converted);
Task take_made(Made);
#define CHOICE(x) ((x) ? 1 : 2)
"""


def check(body, before=""):
    """What the check says of a coroutine with that body, and how many files it has shown to clang-query."""
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "sample.cc"
        file.write_text(f"{PREAMBLE}{before}\nTask sample(int x) {{\n  {body}\n}}\n")
        run = subprocess.run([CHECK, file], capture_output=True, text=True)
    return run


class CheckCoroutines(unittest.TestCase):
    def finds(self, body, before=""):
        run = check(body, before)
        self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
        self.assertEqual(run.stdout.count("binds here"), 1, run.stdout)

    def lets_pass(self, body, shown, before=""):
        run = check(body, before)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn(f"clang-query was shown {shown}", run.stdout)

    def test_what_is_written_in_the_expression(self):
        self.finds("co_await run([x] { return x; }());")
        self.finds("co_await run([&]() { return x; }());")
        self.finds("co_await configure(1, {3, 4});")
        self.finds("co_await configure(1, Options{3, 4});")
        self.finds("co_await run(x > 0 ? 1 : 2);")
        self.finds("if (auto n = co_await run(x > 0 ? 1 : 2); n > 0) co_return;")
        self.finds("co_await run([] { Options inner{1, 2}; return inner.a; }());")

    def test_what_nobody_wrote_there(self):
        self.finds("co_await configure(x);")
        self.finds("co_await choose(x);")
        self.finds("co_await take_made(Made());")
        self.finds("co_await run(CHOICE(x));")
        self.finds("co_await local(x);", "static Task local(int, Options of = Options{}) { co_return; }")
        self.finds("auto own = [](int, Options = {}) -> Task { co_return; }; co_await own(x);")
        self.finds("co_await take_hidden(x);",
                   "struct Hidden { Hidden(int, Options = {}); };\nTask take_hidden(Hidden);")

    def test_what_has_a_name_before_is_let_pass_without_clang_query(self):
        self.lets_pass("auto job = [x] { return x; }; co_await run(job());", 0)
        self.lets_pass("const Options options{3, 4}; co_await run(options.a); // {3, 4}", 0)
        self.lets_pass("const int n = x > 0 ? co_await run(1) : co_await run(2); co_await run(n);", 0)
        self.lets_pass("co_await sleep_for(Millis{50});", 0)
        self.lets_pass("for (int i = co_await run(1); i < 3; ++i) { co_await run(i); }", 0)

    def test_braces_that_call_a_constructor_are_let_pass_by_clang_query(self):
        self.lets_pass("co_await take(Converted{x});", 1)

    def test_a_macro_that_waits_is_refused(self):
        run = check("WAIT(x);", "#define WAIT(n) \\\n  co_await run(n)")
        self.assertEqual(run.returncode, 1)
        self.assertIn("a macro with co_await", run.stdout)

    def test_a_file_that_is_not_understood_is_not_called_safe(self):
        run = check("co_await missing(Converted{x});")
        self.assertEqual(run.returncode, 1)
        self.assertIn("can't tell", run.stdout)


if __name__ == "__main__":
    unittest.main()
