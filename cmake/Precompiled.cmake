# Optimised builds, and those with sanitizers, compile the whole tree at once: what nearly every file includes is precompiled once
# for the programs and once for the tests, and files of one library are compiled together (so names in its anonymous namespaces
# differ). A development build does neither: one file rebuilds alone, and has to include what it uses.
set(mill_common_headers <algorithm> <chrono> <condition_variable> <deque> <functional> <map> <memory> <mutex> <optional> <set>
    <stop_token> <string> <string_view> <thread> <unordered_map> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)

if(MILL_PRECOMPILE)
    set(CMAKE_UNITY_BUILD ON)
    set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
endif()

# mill_targets(VARIABLE FOLDER): every target of the folder and of those in it.
function(mill_targets variable folder)
    get_property(found DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
    get_property(inner DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
    foreach(one ${inner})
        mill_targets(more ${one})
        list(APPEND found ${more})
    endforeach()
    set(${variable} ${found} PARENT_SCOPE)
endfunction()

# mill_share_precompiled(PATTERN OWNER [HEADER ...]): the targets whose names match use one precompiled header, which OWNER makes.
function(mill_share_precompiled pattern owner)
    if(NOT MILL_PRECOMPILE)
        return()
    endif()
    target_precompile_headers(${owner} PRIVATE ${mill_common_headers} ${ARGN})
    mill_targets(targets ${CMAKE_SOURCE_DIR})
    list(FILTER targets INCLUDE REGEX ${pattern})
    list(REMOVE_ITEM targets ${owner} mill_flags)
    foreach(target ${targets})
        target_precompile_headers(${target} REUSE_FROM ${owner})
    endforeach()
endfunction()
