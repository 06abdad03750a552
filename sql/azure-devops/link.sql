-- Ends of the relationships that pipeline files can name.
--
-- in:   container, membership, result, test_plans, test_suites, test_runs
-- out:  link, one row per end
-- key:  artifact, key, relationship, target_artifact, target_key
SELECT
  'Test Plan' AS artifact, holder_key AS key, 'Test Case' AS relationship,
  'Test Case' AS target_artifact, case_key AS target_key, position, dynamic
FROM {{ view('membership') }}
WHERE holder = 'plan'
UNION ALL
SELECT 'Test Plan', key, 'Parent', 'Requirement', parent_id, CAST(NULL AS BIGINT), false
FROM {{ source('test_plans') }}
WHERE parent_id IS NOT NULL
UNION ALL
SELECT 'Test Suite', key, 'Parent Test Plan', 'Test Plan', plan_key, CAST(NULL AS BIGINT), false
FROM {{ view('container') }}
UNION ALL
SELECT 'Test Suite', key, 'Parent', 'Test Suite', parent_key, position, false
FROM {{ view('container') }}
WHERE parent_key IS NOT NULL
UNION ALL
SELECT 'Test Suite', holder_key, 'Test Cases', 'Test Case', case_key, position, dynamic
FROM {{ view('membership') }}
WHERE holder = 'container'
UNION ALL
SELECT 'Test Suite', r.key, 'Related', 'Test Suite', t.key, CAST(NULL AS BIGINT), false
FROM (SELECT key, unnest(related_ids) AS related_id FROM {{ source('test_suites') }} WHERE NOT is_root) r
JOIN {{ view('container') }} t ON t.key = r.related_id
UNION ALL
SELECT 'Test Case', case_key, 'Test Suites', 'Test Suite', holder_key, CAST(NULL AS BIGINT), dynamic
FROM {{ view('membership') }}
WHERE holder = 'container'
UNION ALL
SELECT 'Test Run', key, 'Parent Test Plan', 'Test Plan', plan_id, CAST(NULL AS BIGINT), false
FROM {{ source('test_runs') }}
WHERE plan_id IS NOT NULL
UNION ALL
SELECT 'Test Result', key, 'Parent Test Run', 'Test Run', run_key, CAST(NULL AS BIGINT), false
FROM {{ view('result') }}
UNION ALL
SELECT 'Test Result', key, 'Parent Test Case', 'Test Case', case_key, CAST(NULL AS BIGINT), false
FROM {{ view('result') }}
WHERE case_key IS NOT NULL
UNION ALL
SELECT 'Test Result', key, 'Parent Test Plan', 'Test Plan', plan_key, CAST(NULL AS BIGINT), false
FROM {{ view('result') }}
WHERE plan_key IS NOT NULL
