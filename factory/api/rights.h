// factory/api/rights.h -- what a call needs: the route's role, its area, and the environments of what it is about.
#pragma once

#include <string>
#include <string_view>

#include "factory/agents/identity.h"
#include "factory/api/call.h"
#include "factory/api/routes.h"
#include "factory/store/store.h"

namespace mill::factory {

/// What the first {…} of a path names, and so in which environments its caller needs the role.
enum class About { factory, shared, list, environment, deployment, trigger, notifier, job, delivery, agent, credential };

struct Right {
    Area area = Area::none;
    About about = About::factory;   ///< of a route that the table does not know: the role in all environments, and no scopes
};
/// By the table in rights.cpp: the longest pattern that the route's begins with.
Right right_of(const Route& route);

/// Where the thing is that a document (kind, spec) describes. `spec_of`: documents that are not stored yet, or null.
using SpecOf = std::function<Json(std::string_view kind, std::string_view name)>;
Place place_of_document(const SpecOf& spec_of, std::string_view kind, std::string_view name, const Json& spec);
SpecOf specs_in(Reader& reader);

/// Where it is now; something that is not there is anywhere: its handler says so. `change`: of an agent, which others see as well.
Place place_of(Reader& reader, About about, const std::string& name, bool change);

/// What the first {…} of the route's pattern is.
std::string thing_of(const std::map<std::string, std::string, std::less<>>& path, const Route& route);

struct Missing {
    std::string text;   ///< "the role operator in environment 'prod'; this token … has …"
    Json needs;         ///< {role, environment} or {scope}
    Place place;
};
/// What a caller lacks for a route about `thing`; nothing: it may. What handlers look at besides is not in it.
std::optional<Missing> missing_right(Reader& reader, const Identity& identity, const Route& route, const std::string& thing);

/// Jobs of a private environment are its user's and the administrators' to start; nothing: this identity may, or it is shared.
std::optional<Missing> missing_in_private(Reader& reader, const Identity& identity, const std::string& environment);
/// The same, said to the caller.
bool permitted_in_private(Service& service, const Call& call, const Identity& identity, const std::string& environment, std::string_view action);
/// Whether the caller may write the document: a developer where it is and where it would be, in a private environment its user; whose an environment
/// is, is an administrator's to say. `stored`: null of a new one.
bool may_write(Service& service, const Call& call, const SpecOf& spec_of, std::string_view kind, const std::string& name, const Json& spec, const Json& stored);

/// Whether the caller has what the route needs; answers 403 with what is missing and who can give it when not.
bool permitted(Service& service, const Call& call, const Route& route);
/// The same for what a handler finds out by itself. `action`: "starting trigger 'x'".
bool permitted(Service& service, const Call& call, Role role, const Place& place, std::string_view action);
/// Those whose tokens could give it, at most five names.
Json who_can_give(Reader& reader, const Place& place, WallTime now);

/// Whether what the caller does to a stored document of a private environment is theirs to do; their role was looked at.
bool may_change(Service& service, const Call& call, Reader& reader, const Document& document, std::string_view action);
/// Whether the caller may delete a document: one that says whose packages count is the administrators'.
bool may_delete(Service& service, const Call& call, Reader& reader, const Document& document);
/// Whoever writes a trigger of type event hears of another's results: they have to be theirs to see.
bool may_hear(Service& service, const Call& call, const SpecOf& spec_of, const Json& trigger);

/// Whether a list shows it to this caller.
inline bool sees(const Call& call, const Place& place) { return call.identity.has(Role::viewer, place); }
inline bool sees_environment(const Call& call, std::string_view environment) { return call.identity.in(environment); }
/// "|a|b|" for queries of the store; empty: all.
std::string visible(const Identity& identity);
Place place_of_agent(const AgentRecord& agent, bool change);
Place place_of_job(const JobRecord& job);

}  // namespace mill::factory
