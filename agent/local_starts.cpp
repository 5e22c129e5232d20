#include "agent/local_starts.h"

#include <utility>

#include <fmt/format.h>

#include "agent/lease.h"
#include "agent/packages.h"
#include "platform/base/ids.h"
#include "platform/base/log.h"
#include "platform/files.h"
#include "protocol/offer.h"
#include "protocol/secret_fields.h"

namespace mill::agent {
namespace {

constexpr std::size_t kLargestInput = 900 * 1024;   // with what is said beside it, a call of 1 MiB

}  // namespace

bool LocalStarts::has_package(const std::string& digest) const
{
    const auto path = package_path(parts_.data_folder, digest);
    return path && platform::exists(*path);
}

Result<std::string> LocalStarts::begin(const Launch& launch, const Json& terms, const Json& schema)
{
    Json said = terms;
    said.set("job", new_uid()).set("attempt", 1).set("attemptToken", "").set("launch", launch.id).set("input", protocol::merge_input(terms["input"], launch.input));
    if (dump_json(said["input"]).size() > kLargestInput) return fail(Errc::too_large, "its input is more than the factory would take");
    const auto places = protocol::secret_places(schema, said["input"]);
    said.set("secretInput", Json(Json::Array(places.begin(), places.end())));
    said.set("given", launch.input).set("title", launch.title).set("asked", format_time(launch.asked));
    const auto offer = protocol::parse_offer(said);
    if (!offer) return fail(Errc::corrupt, fmt::format("what the factory said beforehand cannot be read: {}", offer.error().what));
    if (offer->terms.empty()) return fail(Errc::corrupt, "the factory said nothing of it beforehand");
    auto grants = parts_.admit(*offer);
    if (!grants) return fail(std::move(grants.error()));
    if (!has_package(offer->package_digest)) return fail(Errc::not_found, fmt::format("package {} {} is not on this machine", offer->package_name, offer->package_version));
    const protocol::AttemptId& id = offer->id;
    if (!parts_.desk.take({id, offer->repeatable, offer->lease, false, true})) {
        const std::string unable = parts_.desk.unable();
        return fail(Errc::conflict, unable.empty() ? "all slots are taken" : unable);
    }
    parts_.journal.withhold(id);
    parts_.tell(command::Take{id, dump_json(said)});
    if (!parts_.fetches.try_send({*offer, std::move(*grants), {}})) parts_.tell(command::GiveBack{id, "too many packages are being looked for"});
    log::info("person", "{}: {} begins while the factory is away", id.key(), offer->trigger);
    return id.job;
}

std::vector<Json> LocalStarts::begun() const
{
    std::vector<Json> out;
    for (const Journal::Held& held : parts_.journal.withheld()) {
        auto offer = parse_json(held.offer);
        if (offer && offer->is_object()) out.push_back(std::move(*offer));
        else log::error("person", "{}: what it was is lost, and the factory cannot be told of it", held.id.key());
    }
    return out;
}

void LocalStarts::is_known(const protocol::AttemptId& id)
{
    parts_.desk.is_known(id);
    for (const Holding& holding : parts_.desk.held())   // from now on somebody else may have it when it is not renewed
        if (holding.id == id && holding.repeatable) parts_.tell(command::Lease{id, lease_end(parts_.clock.steady(), holding.lease)});
    parts_.journal.give(id);
    parts_.questions.stir();
    if (!parts_.journal.is_open(id)) parts_.desk.answer({id, "not_held", "it was given back meanwhile"});
}

void LocalStarts::refuse(const protocol::AttemptId& id, const std::string& why)
{
    parts_.journal.refuse(id);   // first: one that is released this moment sees it, or we that it is
    if (parts_.desk.holds(id)) return parts_.tell(command::Drop{id, "the factory does not take it: " + why});
    if (parts_.journal.is_open(id)) (void)parts_.journal.finish(id);
}

}  // namespace mill::agent
