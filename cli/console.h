// cli/console.h -- what the person sees: lines, tables, times, colours, or JSON.
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/json.h"
#include "platform/base/printable.h"

namespace mill::cli {

enum class Style { plain, good, bad, busy, dim, strong };

struct ConsoleOptions {
    bool json = false;          ///< --json
    bool colour = false;        ///< of standard output
    bool error_colour = false;  ///< of standard error
    bool interactive = false;   ///< a person sits at standard input and error
};

/// Standard output carries what was asked for; standard error carries notes, progress and errors. Thread: the main one.
class Console {
public:
    Console(std::ostream& out, std::ostream& err, ConsoleOptions options) : out_(out), err_(err), options_(options) {}

    bool json() const { return options_.json; }
    bool interactive() const { return options_.interactive; }
    void line(std::string_view text = {});
    void note(std::string_view text);                       ///< to standard error
    void error(std::string_view text);                      ///< "millwright: …" to standard error
    void ask(std::string_view prompt);                      ///< to standard error, no end of line
    void write(std::string_view text);                      ///< as it is, no end of line
    void document(const Json& value);                       ///< indented JSON
    void record(const Json& value);                         ///< JSON on one line
    std::string paint(Style style, std::string_view text) const;
    std::string paint_error(Style style, std::string_view text) const;
    void flush();

private:
    std::ostream& out_;
    std::ostream& err_;
    ConsoleOptions options_;
};

/// The colour of a job's, delivery's or agent's state.
Style style_of_state(std::string_view state);

/// Columns that a terminal needs: combining marks 0, wide characters 2.
std::size_t display_width(std::string_view utf8);

/// Columns aligned; the last one is never padded. Cells may be painted afterwards by `style` of their column's text.
class Table {
public:
    explicit Table(std::vector<std::string> headings);
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }
    void paint_states(std::size_t column) { state_column_ = column; }
    void align_right(std::size_t column) { right_.push_back(column); }
    void show(Console& console) const;

private:
    std::vector<std::string> headings_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t state_column_ = static_cast<std::size_t>(-1);
    std::vector<std::size_t> right_;
};

/// RFC 3339 → local time of day, with the date when it is not today's: "14:02:07", "2026-11-21 14:02:07".
std::string show_time(std::string_view rfc3339, WallTime now, bool milliseconds = false);
std::string show_span(Microseconds span);  ///< "850 µs", "12.4 ms", "3.2 s", "4 min 10 s", "2 h 5 min"
std::string show_age(std::string_view rfc3339, WallTime now);  ///< "12 s ago"
std::string show_bytes(std::uint64_t bytes);                   ///< "12.3 MiB"

}  // namespace mill::cli
