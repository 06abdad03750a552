-- Test cases that cover requirements.
--
-- in:   requirement_links, requirements, test_cases
-- out:  requirement_link, one row per requirement and case
-- key:  requirement_key, case_key
--
-- The feed tells both ends and leaves open which one is the requirement.
SELECT r.key AS requirement_key, c.key AS case_key
FROM {{ source('requirement_links') }} l
JOIN {{ source('requirements') }} r ON r.key = l.source_id
JOIN {{ source('test_cases') }} c ON c.key = l.target_id
UNION
SELECT r.key AS requirement_key, c.key AS case_key
FROM {{ source('requirement_links') }} l
JOIN {{ source('requirements') }} r ON r.key = l.target_id
JOIN {{ source('test_cases') }} c ON c.key = l.source_id
