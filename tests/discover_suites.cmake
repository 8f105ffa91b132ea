# discover_suites(PROGRAM FOLDER LABEL): every suite of a GoogleTest program is a test of ctest, FOLDER.SUITE, in a process of its own. A process
# for each single test, as gtest_discover_tests has it, would spend a third of the time on starting. A suite that skips all of its tests
# counts as skipped. Two tests run at a time on two cores, where threads that wait busily for each other would take turns with the other test's.
#
# The list is made by this very file, as a script, whenever the program has been linked.
if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND ${program} --gtest_list_tests OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY TIMEOUT 60)
  string(REGEX MATCHALL "\n[^ \n]+\\.[^\n]*" suites "\n${listing}")  # tests of a suite are set in; behind its name may be a comment
  set(tests "")
  foreach(suite IN LISTS suites)
    string(REGEX REPLACE "^\n([^ ]+)\\..*" "\\1" suite "${suite}")
    string(APPEND tests "add_test([[${folder}.${suite}]] [[${program}]] [[--gtest_filter=${suite}.*]])\n"
           "set_tests_properties([[${folder}.${suite}]] PROPERTIES LABELS ${label} WORKING_DIRECTORY [[${directory}]] ENVIRONMENT OMP_WAIT_POLICY=passive\n"
           "  SKIP_REGULAR_EXPRESSION [[\\[  PASSED  \\] 0 tests]])\n")
  endforeach()
  file(WRITE ${list} "${tests}")
  return()
endif()

function(discover_suites program folder label)
  set(list ${CMAKE_CURRENT_BINARY_DIR}/${program}_suites.cmake)
  add_custom_command(
    TARGET ${program} POST_BUILD BYPRODUCTS ${list}
    COMMAND ${CMAKE_COMMAND} -Dprogram=$<TARGET_FILE:${program}> -Dfolder=${folder} -Dlabel=${label}
            -Ddirectory=${CMAKE_CURRENT_BINARY_DIR} -Dlist=${list} -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    VERBATIM)
  # Until it is there, a test that says so.
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake)
  file(WRITE ${include} "if(EXISTS \"${list}\")\n  include(\"${list}\")\nelse()\n  add_test(${program}_is_not_built false)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
endfunction()
