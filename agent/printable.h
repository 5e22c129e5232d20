// agent/printable.h -- outside text on a person's terminal.
#pragma once

#include <string>
#include <string_view>

namespace mill::agent {

/// Without control characters, which could move the cursor, write a title, or begin lines that we never said.
inline std::string printable(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\n' || c == '\t' ? ' ' : '?';
    return out;
}

}  // namespace mill::agent
