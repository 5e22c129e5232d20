#include "factory/store/value_files.h"

#include <cstdio>

#include <fmt/format.h>

#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/files.h"

namespace mill::factory::sqlite {

Result<std::string> whole_text(const std::string& folder, std::string_view column)
{
    if (!column.starts_with('@')) return std::string(column);
    auto text = platform::read_file(fmt::format("{}/{}", folder, column.substr(1)), kMostText);
    if (!text) return fail(Errc::corrupt, fmt::format("store: a long value is missing: {}: restore it from a backup", text.error().what));
    return text;
}

Result<Json> whole_json(const std::string& folder, const Rows& rows, int column)
{
    if (!rows.text(column).starts_with('@')) return rows.json(column);
    const auto text = whole_text(folder, rows.text(column));
    if (!text) return fail(text.error());
    auto value = parse_json(*text, {.bytes = kMostText, .depth = 256});
    return value ? std::move(*value) : Json();
}

Result<std::string> ValueFiles::keep(std::int64_t job, std::string text)
{
    if (text.size() <= kLongText) return text;
    if (auto ok = platform::make_folder(folder_ + "/values", 0700); !ok) return fail("keeping a long value", ok.error());
    const std::string name = fmt::format("values/{}.json", new_uid());
    // The file first: a row never names what is not there. What no row names is removed by retention, and after a crash, too.
    fresh_.push_back(name);
    if (auto ok = platform::write_file(fmt::format("{}/{}", folder_, name), text, 0600); !ok) return fail("keeping a long value", ok.error());
    if (auto ok = db_.run("insert into files(name, job, size) values (?1, ?2, ?3)", name, job, std::uint64_t{text.size()}); !ok) return fail(ok.error());
    return "@" + name;
}

void ValueFiles::undone()
{
    for (const std::string& name : fresh_)
        if (std::remove(fmt::format("{}/{}", folder_, name).c_str()) != 0) log::debug("store", "{} was not there to be removed", name);
    fresh_.clear();
}

}  // namespace mill::factory::sqlite
