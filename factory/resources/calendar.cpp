#include "factory/schedule/calendar.h"

#include <fmt/format.h>

#include "factory/resources/kinds.h"
#include "platform/base/fields.h"

namespace mill::factory {
namespace {

constexpr std::size_t kMostDays = 2000;

Json texts_json(Fields& fields, std::string_view key)
{
    Json out = Json::array();
    for (const std::string& text : fields.texts(key)) out.push(Json(text));
    return out;
}

}  // namespace

Result<Json> normalise_calendar(const Json& body, const std::string& where)
{
    Fields fields(body, where);
    Json out = Json::object();
    if (const std::string text = fields.text("description", ""); !text.empty()) out.set("description", Json(text));
    out.set("weekdays", texts_json(fields, "weekdays"));
    out.set("days", texts_json(fields, "days"));
    if (out["days"].size() > kMostDays) fields.mistake("days", fmt::format("are more than {}", kMostDays));
    else if (const auto made = Calendar::make({}, out); !made) fields.mistake("days", "or weekdays: " + made.error().what);
    if (auto done = fields.done(); !done) return fail(std::move(done.error()));
    return out;
}

}  // namespace mill::factory
