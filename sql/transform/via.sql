-- Ends of relationships that follow further relationships from where the first one ends.
--
-- in:   link of one repository; the names of the further relationships, in order
-- out:  rows like those of link: the artifact and name of the first relationship, the end of the last
-- key:  artifact, key, relationship, target_artifact, target_key
SELECT DISTINCT
  k.artifact, k.key, k.relationship
  , v{{ via | length }}.target_artifact, v{{ via | length }}.target_key, v{{ via | length }}.dynamic
FROM {{ link }} AS k
{% for name in via %}
JOIN {{ link }} AS v{{ loop.index }}
  ON v{{ loop.index }}.artifact = {{ "k" if loop.first else "v" ~ loop.index0 }}.target_artifact
  AND v{{ loop.index }}.key = {{ "k" if loop.first else "v" ~ loop.index0 }}.target_key
  AND v{{ loop.index }}.relationship = {{ name | lit }}
{% endfor %}
