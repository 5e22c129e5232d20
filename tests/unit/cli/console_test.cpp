#include <catch2/catch.hpp>

#include <sstream>

#include "cli/console.h"

using namespace mill;
using namespace mill::cli;

namespace {

std::string shown(const Table& table, bool colour = false)
{
    std::ostringstream out, err;
    Console console(out, err, {.colour = colour});
    table.show(console);
    return out.str();
}

}  // namespace

TEST_CASE("a table aligns its columns by what a terminal shows, not by bytes", "[cli][console]")
{
    Table table({"NAME", "STATE"});
    table.add({"Bestellübersicht", "ok"});
    table.add({"注文", "failed"});
    table.add({"x", ""});
    CHECK(shown(table) == "NAME              STATE\n"
                          "Bestellübersicht  ok\n"
                          "注文              failed\n"
                          "x\n");
}

TEST_CASE("a state column is coloured only where colours are on", "[cli][console]")
{
    Table table({"STATE", "NAME"});
    table.paint_states(0);
    table.add({"failed", "a"});
    CHECK(shown(table).find('\x1b') == std::string::npos);
    CHECK_THAT(shown(table, true), Catch::Contains("\x1b[31mfailed\x1b[0m  a"));
}

TEST_CASE("text from outside cannot move the cursor, forge lines or turn the direction of text", "[cli][console]")
{
    CHECK(one_line("a\x1b[2Jb\nc\td") == "a?[2Jb c d");
    CHECK(printable("a\nb\x07") == "a\nb?");
    CHECK(one_line("a\xE2\x80\xAE" "b") == "a?b");          // right-to-left override
    CHECK(one_line("line\r\nnext") == "line next");
    CHECK(one_line("\xC2\x9B" "31m") == "?31m");            // the one-byte CSI of C1
    CHECK(one_line("bad \xFF byte") == "bad \xEF\xBF\xBD byte");
    CHECK(one_line("grün 注文 ✓") == "grün 注文 ✓");
}

TEST_CASE("a combining mark takes no column, a wide character two", "[cli][console]")
{
    CHECK(display_width("e\xCC\x81") == 1);
    CHECK(display_width("注文") == 4);
    CHECK(display_width("abc") == 3);
    CHECK(display_width("\xFF\xFE") == 2);
    CHECK(display_width("\xE6\xB3") == 2);  // cut off
}

TEST_CASE("a span is shown with one unit that fits", "[cli][console]")
{
    CHECK(show_span(Microseconds(850)) == "850 µs");
    CHECK(show_span(Microseconds(12'400)) == "12.4 ms");
    CHECK(show_span(Microseconds(3'200'000)) == "3.2 s");
    CHECK(show_span(std::chrono::seconds(250)) == "4 min 10 s");
    CHECK(show_span(std::chrono::minutes(125)) == "2 h 5 min");
    CHECK(show_span(std::chrono::hours(51)) == "2 d 3 h");
    CHECK(show_span(Microseconds(-12'400)) == "-12.4 ms");
}

TEST_CASE("a time of another day is shown with its date, what is no time as it is", "[cli][console]")
{
    const WallTime now = *parse_time("2026-11-22T12:00:00Z");
    CHECK(show_time("2026-11-22T12:00:00.123456Z", now, true).size() == std::string("12:00:00.123").size());
    CHECK(show_time("2026-11-19T12:00:00Z", now).size() == std::string("2026-11-19 12:00:00").size());
    CHECK(show_time("soon\n", now) == "soon ");
    CHECK(show_age("2026-11-22T11:59:48Z", now) == "12.0 s ago");
    CHECK(show_age("2026-11-22T12:00:05Z", now) == "just now");
}

TEST_CASE("bytes are shown in binary units", "[cli][console]")
{
    CHECK(show_bytes(100) == "100 B");
    CHECK(show_bytes(1536) == "1.5 KiB");
    CHECK(show_bytes(12'897'484) == "12.3 MiB");
}

TEST_CASE("what was asked for goes to standard output, errors to standard error", "[cli][console]")
{
    std::ostringstream out, err;
    Console console(out, err, {.json = true});
    console.document(Json::object({{"a", 1}}));
    console.error("it failed\x1b[31m");
    CHECK(out.str() == "{\n  \"a\": 1\n}\n");
    CHECK(err.str() == "millwright: it failed?[31m\n");
}
