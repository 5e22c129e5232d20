# Optimised builds, and those with sanitizers, precompile what nearly every file includes; a development build does not, so that one file rebuilds alone.
function(mill_precompile target)
    if(TARGET ${target} AND MILL_PRECOMPILE)
        target_precompile_headers(${target} PRIVATE
            <algorithm> <chrono> <condition_variable> <deque> <functional> <map> <memory> <mutex> <optional> <set> <stop_token>
            <string> <string_view> <thread> <unordered_map> <variant> <vector> <fmt/format.h> <tl/expected.hpp> ${ARGN})
    endif()
endfunction()
