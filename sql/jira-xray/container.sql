-- Test sets of Jira Xray, its only container that is an artifact of its own.
--
-- in:   source test_sets
-- out:  container              one row per issue of type 'Test Set'
-- key:  key
--
-- Sets are flat and belong to no plan by nature: parent_key, plan_key and path
-- stay null. Folders of the test repository are paths without identity and are
-- no containers; they stand in the native table folders.
SELECT
  s.key,
  s.project,
  s.rev,
  s.created_at,
  s.updated_at,
  s.updated_by,
  s.url,
  s.raw_hash,
  s.fields,
  false AS read_only,
  s.fields['Summary'] AS title,
  s.fields['Status'] AS state,
  s.fields['Description'] AS description,
  'set' AS kind,
  CAST(NULL AS VARCHAR) AS parent_key,
  CAST(NULL AS VARCHAR) AS plan_key,
  CAST(NULL AS VARCHAR) AS path,
  CAST(NULL AS BIGINT) AS position
FROM {{ source('test_sets') }} AS s
