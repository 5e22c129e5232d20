// Several documents, all or none, and those that are of the same source and no longer among them.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "factory/api/approvers.h"
#include "factory/api/checked.h"
#include "factory/api/compiled_notifiers.h"
#include "factory/api/handlers.h"
#include "factory/api/rights.h"
#include "platform/base/fields.h"
#include "protocol/problem.h"

namespace mill::factory::handler {
namespace {

/// Writes checked documents one after the other, then takes away what is to go; lives in the callbacks.
struct Application : std::enable_shared_from_this<Application> {
    Application(Service& the_service, CallPtr the_call) : service(the_service), call(std::move(the_call)) {}
    Service& service;
    CallPtr call;
    std::string source;               ///< of --source; empty: not said
    std::vector<Checked> documents;
    std::vector<Document> gone;       ///< what refers before what it refers to
    Json results;
    std::size_t next = 0, claimed = 0, removed = 0;

    void step()
    {
        while (next < documents.size() && documents[next].result() == "unchanged" && documents[next].with.empty()) ++next;
        if (next < documents.size()) return write(documents[next++]);
        if (!source.empty() && claimed < documents.size()) return claim(documents[claimed++].document);
        if (removed < gone.size()) return remove(gone[removed++]);
        reply(*call, 200, Json::object({{"results", results}}));
    }

private:
    template <class T>
    Done<T> then(std::string_view kind, const std::string& name)
    {
        return [self = shared_from_this(), what = fmt::format("{} '{}'", kind, name)](const Result<T>& done) {
            if (done) return self->step();
            reply_error(*self->call, Error{done.error().code, fmt::format("{}: {}; the documents before it are written", what, done.error().what)});
        };
    }
    void write(const Checked& each)
    {
        service.core.put_documents(step_of(each), call->who(), then<Document>(word(each.document.kind), each.document.name));
    }
    void claim(const ResourceDocument& each)
    {
        service.core.set_source(std::string(word(each.kind)), each.name, source, call->who(), then<Document>(word(each.kind), each.name));
    }
    void remove(const Document& each)
    {
        service.core.delete_document(each.kind, each.name, each.generation, call->who(), [this, tokens = tokens_of(*service.core.reader(), each.kind, each.name), go_on = then<Nothing>(each.kind, each.name)](Result<Nothing> done) {
            for (const std::string& id : tokens) service.tokens.forget(id);
            go_on(std::move(done));
        });
    }
};

Json apply_error(std::size_t index, const Json& document, const Refusal& refusal)
{
    Json out = Json::object({{"index", Json(index)}, {"kind", document["kind"]}, {"name", document["name"]}, {"detail", Json(refusal.error.what)}});
    if (!refusal.missing.empty()) out.set("missing", texts_json(refusal.missing));
    return out;
}

void refuse_all(const Call& call, int status, const Json& errors)
{
    std::string detail;
    for (const Json& each : errors.as_array()) detail += (detail.empty() ? "" : "; ") + each["detail"].as_string();
    reply_problem(call, status, fmt::format("nothing was written: {}", detail), "apply", Json::object({{"errors", errors}}));
}

/// Whether a document would dangle without (kind, name).
bool refers(const Json& document, std::string_view kind, std::string_view name)
{
    const std::string& by = document["kind"].as_string();
    if (kind == "Environment") return (by == "Deployment" || by == "Notifier") && document["environment"].as_string() == name;
    if (kind == "Deployment")
        return ((by == "Trigger" || by == "Notifier") && document["deployment"].as_string() == name) || document["event"]["job"]["deployment"].as_string() == name;
    if (kind == "Trigger") return (by == "Notifier" && document["trigger"].as_string() == name) || document["event"]["job"]["trigger"].as_string() == name;
    if (kind == "Publisher") {
        const auto& needed = document["requireSigned"].as_array();
        return std::any_of(needed.begin(), needed.end(), [&](const Json& each) { return each.as_string() == name; });
    }
    if (kind != "Calendar") return false;
    const auto& calendars = document["schedule"]["calendars"].as_array();
    return std::any_of(calendars.begin(), calendars.end(), [&](const Json& each) { return each.as_string() == name; });
}

struct Prune {
    std::vector<Document> gone;
    std::vector<Document> stay;       ///< stored, and neither sent nor to go
    bool all = false;                 ///< nothing of the source would be left as it was
};

/// What the source has that is not among what was sent.
Result<Prune> what_goes(Reader& reader, const std::string& source, const std::vector<ResourceDocument>& sent)
{
    Prune out;
    bool met = false;
    for (auto kind = kResourceKinds.rbegin(); kind != kResourceKinds.rend(); ++kind) {
        const auto documents = reader.documents(word(*kind));
        if (!documents) return fail(documents.error());
        for (const Document& each : *documents) {
            const bool again = std::any_of(sent.begin(), sent.end(), [&](const auto& one) { return one.kind == *kind && one.name == each.name; });
            met = met || (again && each.source == source);
            if (!again) (each.source == source ? out.gone : out.stay).push_back(each);
        }
    }
    out.all = !out.gone.empty() && !met;
    return out;
}

/// Who still needs one of those that go; empty: nobody.
std::string needed_by(const Prune& prune, const std::vector<ResourceDocument>& sent)
{
    for (const Document& each : prune.gone) {
        for (const auto& one : sent)
            if (refers(one.spec, each.kind, each.name)) return fmt::format("{} '{}' would go, and {} '{}' among the files names it", each.kind, each.name, word(one.kind), one.name);
        for (const Document& one : prune.stay)
            if (refers(one.spec, each.kind, each.name)) return fmt::format("{} '{}' would go, and {} '{}', which is of {}, names it", each.kind, each.name, one.kind, one.name,
                                                                             one.source.empty() ? std::string("no source") : "source '" + one.source + "'");
    }
    return {};
}

/// Settles what is pruned. False: the call was answered.
bool settle_prune(Service& service, const CallPtr& call, Reader& reader, const std::vector<ResourceDocument>& sent, bool force, Application& application)
{
    auto prune = what_goes(reader, application.source, sent);
    if (!passed(*call, prune)) return false;
    const auto refuse_it = [&](std::string_view why, std::string_view code) { reply_problem(*call, 409, fmt::format("nothing was written: {}", why), code); };
    if (prune->all && !force) {
        refuse_it(fmt::format("none of the documents is of source '{}', and all {} that are would go: a wrong folder? --force does it all the same", application.source, prune->gone.size()), "prune_all");
        return false;
    }
    if (const std::string needed = needed_by(*prune, sent); !needed.empty()) {
        refuse_it(needed, "in_use");
        return false;
    }
    for (const Document& each : prune->gone) {
        if (!may_delete(service, *call, reader, each)) return false;
        application.results.push(Json::object({{"kind", Json(each.kind)}, {"name", Json(each.name)}, {"result", "deleted"}, {"differences", Json::array()}}));
    }
    application.gone = std::move(prune->gone);
    return true;
}

}  // namespace

void apply(Service& service, const CallPtr& call)
{
    const auto json = read_json(*call);
    if (!json) return;
    Fields fields(*json, "apply");
    const Json documents = fields.array("documents");
    const bool dry_run = fields.boolean("dryRun", false), accept = fields.boolean("accept", false), force = fields.boolean("force", false), prune = fields.boolean("prune", false);
    const std::string source = fields.text("source", "");
    if (!source.empty() && !is_name(source)) fields.mistake("source", "must be 1 to 100 lower-case letters, digits, '-', '_' or '.'");
    if (prune && source.empty()) fields.mistake("source", "is missing: prune deletes what was applied from the same source before");
    if (prune && documents.empty()) fields.mistake("documents", "are none: prune would delete all that the source has");
    if (documents.size() > 1000) fields.mistake("documents", "are more than 1000");
    if (auto done = fields.done(); !done) return reply_error(*call, done.error());

    Json errors = Json::array();
    int status = 400;
    std::vector<std::pair<std::size_t, ResourceDocument>> parsed;   // with the place in the request
    for (std::size_t i = 0; i < documents.size(); ++i) {
        auto document = parse_document(documents[i]);
        if (!document) {
            errors.push(apply_error(i, documents[i], {document.error(), {}}));
            continue;
        }
        const bool twice = std::any_of(parsed.begin(), parsed.end(), [&](const auto& each) { return each.second.kind == document->kind && each.second.name == document->name; });
        if (twice) errors.push(apply_error(i, documents[i], {{Errc::invalid, fmt::format("{} '{}' is there twice", word(document->kind), document->name)}, {}}));
        else parsed.emplace_back(i, std::move(*document));
    }
    // What refers comes after what it refers to, whatever the order in the files.
    std::stable_sort(parsed.begin(), parsed.end(), [](const auto& a, const auto& b) { return a.second.kind < b.second.kind; });
    std::vector<ResourceDocument> overlay;
    for (const auto& [index, document] : parsed) overlay.push_back(document);

    auto application = std::make_shared<Application>(service, call);
    application->source = source;
    std::vector<Json> results(documents.size());
    std::vector<std::size_t> indices;   // of application->documents, in the request
    const auto reader = service.core.reader();
    const SpecOf spec_of = [&](std::string_view kind, std::string_view name) {
        for (const ResourceDocument& each : overlay)
            if (word(each.kind) == kind && each.name == name) return each.spec;
        return specs_in(*reader)(kind, name);
    };
    for (const ResourceDocument& each : overlay) {   // where it is, and where it would be
        const auto stored = reader->document(word(each.kind), each.name);
        if (!may_write(service, *call, spec_of, word(each.kind), each.name, each.spec, stored ? stored->spec : Json())) return;
        if (!may_hear(service, *call, spec_of, each.spec)) return;
    }
    {
        for (auto& [index, document] : parsed) {
            auto checked = check(service, *reader, std::move(document), overlay, {accept, force, call->identity.has(Role::admin, {})});
            if (!checked) {
                if (checked.error().error.code == Errc::denied && errors.empty()) status = 403;
                if (checked.error().error.code == Errc::conflict && errors.empty()) status = 409;
                errors.push(apply_error(index, documents[index], checked.error()));
                continue;
            }
            const std::string before = checked->stored ? checked->stored->source : std::string();
            if (!source.empty() && !before.empty() && before != source && !force) {
                if (errors.empty()) status = 409;
                errors.push(apply_error(index, documents[index], {{Errc::conflict, fmt::format("{} '{}' is applied from source '{}': --force takes it over", word(checked->document.kind), checked->document.name, before)}, {}}));
                continue;
            }
            results[index] = Json::object({{"kind", Json(word(checked->document.kind))}, {"name", Json(checked->document.name)},
                                           {"result", Json(checked->result())}, {"differences", checked->changes}});
            if (!checked->warnings.empty()) results[index].set("warnings", texts_json(checked->warnings));
            if (const Json approval = approval_preview(*reader, checked->document.spec); !approval.is_null()) results[index].set("approval", approval);
            if (!source.empty() && before != source) results[index].set("source", Json::object({{"from", Json(before)}, {"to", Json(source)}}));
            application->documents.push_back(std::move(*checked));
            indices.push_back(index);
        }
    }
    application->results = Json::array();
    for (Json& each : results) application->results.push(std::move(each));
    for (const Checked& each : application->documents) {
        const Json with = results_of(each.with);   // held: the loop only refers to it
        for (const Json& also : with.as_array()) application->results.push(also);
    }
    if (errors.empty() && prune && !settle_prune(service, call, *reader, overlay, force, *application)) return;
    std::vector<ResourceDocument> notifiers;   // that are to be compiled
    std::vector<std::size_t> places;           // of them, in the request
    for (std::size_t i = 0; i < application->documents.size(); ++i)
        if (needs_compiling(application->documents[i])) {
            notifiers.push_back(application->documents[i].document);
            places.push_back(indices[i]);
        }
    with_compiled(service, call, std::move(notifiers), [call, application, places, errors, status, dry_run, documents](const std::vector<NotFitting>& wrong) mutable {
        for (const NotFitting& each : wrong) {
            if (errors.empty()) status = 400;
            errors.push(apply_error(places[each.index], documents[places[each.index]], {each.error, {}}));
        }
        if (!errors.empty()) return refuse_all(*call, status, errors);
        if (dry_run) return reply(*call, 200, Json::object({{"results", application->results}, {"dryRun", true}}));
        application->step();
    });
}

}  // namespace mill::factory::handler
